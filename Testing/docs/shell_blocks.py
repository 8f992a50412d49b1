"""Checks the shell blocks of a page: each line's program and options exist, and what is cheap is run."""

from __future__ import annotations

import importlib.util
import shlex
from typing import Any

import pytest
import typer
from mri_interpret.command_line.app import app, main

# Commands that take a second or so, on what the page has made before.
CHEAP = ("check", "methods", "models", "report", "scene")
# Programs whose options are not ours to check.
FOREIGN = (
    "cd",
    "git",
    "mkdocs",
    "pre-commit",
    "pytest",
    "ruff",
    ".ci/run",
    "export",
    "lint-imports",
    "mypy",
    "ssh",
    "podman",
)


def commands(source: str) -> list[list[str]]:
    """The words of each command; comments, continued lines and ``&&`` are resolved."""
    found = []
    for line in source.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while "&&" in words:
            at = words.index("&&")
            found.append(words[:at])
            words = words[at + 1 :]
        if words:
            found.append(words)
    return found


def check(source: str) -> None:
    """Raise if a command could not be run as it is written."""
    for words in commands(source):
        program, *arguments = words
        if program == "mri-interpret":
            check_options(arguments)
            if arguments and arguments[0] in CHEAP and arguments[:2] != ["models", "check"]:
                run(arguments)
        elif program.rpartition("/")[2].startswith("python"):
            check_module(arguments)
        else:
            assert program in FOREIGN, f"unknown program: {shlex.join(words)}"


def check_options(arguments: list[str]) -> None:
    """Parse the arguments as the command line does, without running the command."""
    group: Any = typer.main.get_command(app)
    if arguments[0] == "COMMAND":  # stands for any
        return
    name, *rest = arguments
    assert name in group.commands, f"there is no command {name}"
    command = group.commands[name]
    if rest and rest[0] in getattr(command, "commands", {}):  # such as "models add"
        command, name, rest = command.commands[rest[0]], rest[0], rest[1:]
    command.make_context(name, list(rest), resilient_parsing="--help" in rest)


def check_module(arguments: list[str]) -> None:
    """A module that is run with -m must exist."""
    if arguments and arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1]) is not None, f"there is no module {arguments[1]}"


def run(arguments: list[str]) -> None:
    """Run ``mri-interpret`` here; it must end well."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0, f"mri-interpret {shlex.join(arguments)} ended with {end.value.code}"
