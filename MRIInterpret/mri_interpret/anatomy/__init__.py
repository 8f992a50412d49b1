"""From maps to numbers per brain region."""
