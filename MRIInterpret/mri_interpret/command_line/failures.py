"""How a command fails: one line on stderr (with --json also an object on stdout), and an exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import typer

from ..errors import Cancelled, UserError


def exit_code_of(run: Callable[[], Any], as_json: bool) -> int:
    """Run a command: 0, or what its failure is told as, in one line."""
    try:
        code = run()
        if code == 130:  # what typer makes of Ctrl-C, without a word
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except UserError as error:
        return _failed(_with_option(error), as_json, 2)
    except (KeyboardInterrupt, Cancelled, typer.Abort):
        return _failed("Cancelled. What was written is complete; nothing is half-written.", as_json, 130)
    except MemoryError:
        return _failed(
            "The memory of this machine does not suffice for this scan: give one with fewer voxels.", as_json, 2
        )
    except Exception as error:
        # Typer's own errors (an unknown option, a missing argument) know how to show themselves.
        show = getattr(error, "show", None)
        if not callable(show):
            raise
        show()
        return int(getattr(error, "exit_code", 2))


def _with_option(error: UserError) -> str:
    """The library's sentence with the option that mends it, as it is given here."""
    flag = {"": "", "output": "-o"}.get(error.option, f"--{error.option.replace('_', '-')}")
    return f"{str(error).rstrip('.')} (option {flag})." if flag else str(error)


def _failed(message: str, as_json: bool, code: int) -> int:
    line = " ".join(message.split())
    if as_json:
        typer.echo(json.dumps({"error": line}))
    typer.echo(f"Error: {line}" if code == 2 else line, err=True)
    return code
