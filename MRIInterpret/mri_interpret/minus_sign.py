"""A true minus in what people read; files for programs keep the hyphen that Python writes."""

from __future__ import annotations

import re

# Not within a word, a name, a range or an exponent: "T1-3", "scan_-1", "2-3", "1e-05".
_HYPHEN = re.compile(r"(?<![\w-])-(?=\.?\d|inf\b)")


def true_minus(text: str) -> str:
    """The text with a true minus before each negative number: "0.2, -0.1" becomes "0.2, −0.1"."""
    return _HYPHEN.sub("−", text)
