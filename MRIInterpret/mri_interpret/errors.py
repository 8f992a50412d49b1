"""Errors whose text is written for the user: what was wrong with which file, and what to do about it."""


class UserError(Exception):
    """Something the user can mend. The message is shown as it is, on one line, without a traceback."""


class Cancelled(Exception):
    """The user cancelled. Nothing that was being written may be left behind."""
