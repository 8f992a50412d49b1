"""Label maps to synthetic T1 scans with known, controlled atrophy."""
