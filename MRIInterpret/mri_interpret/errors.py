"""Errors whose text is written for the user: what was wrong with which file, and what to do about it."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend. The message is shown as it is, on one line, without a traceback.

    Control characters, which a file's name may hold, are written as escapes, so that the message stays one line.

    Parameters
    ----------
    message
        One sentence: what was wrong with what, and what to do about it.
    option
        The option that mends it, if one does ("mask", "space", "output", ...): each front end says how it is given.
    """

    def __init__(self, message: str, *, option: str = "") -> None:
        self.option = option
        super().__init__(printable(str(message)))


def printable(text: str) -> str:
    """A text, above all a file's name, with control characters and bytes that are no UTF-8 written as escapes."""
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    # Surrogates stand for bytes of a file's name that are no UTF-8; they cannot be printed.
    hidden = ord(character) < 32 or ord(character) == 127 or 0xD800 <= ord(character) <= 0xDFFF
    return character.encode("unicode_escape").decode("ascii") if hidden else character


class Cancelled(Exception):
    """The user cancelled. Nothing that was being written may be left behind."""
