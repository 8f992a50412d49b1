"""Tables that the site takes from the code, so that they cannot go out of date.

A page asks for one with a comment on a line of its own, such as ``<!-- table: methods -->``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "MRIInterpret"))

import mri_interpret as mi


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""

    def line(cells: Sequence[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return "\n".join([line(head), line(["---"] * len(head)), *(line(row) for row in rows)])


def methods() -> str:
    """Every attribution method: what its class, units and parameters are."""
    classes = {
        getattr(mi, name).name: name for name, module in mi._PUBLIC.items() if module.startswith("attribution.methods.")
    }
    rows = []
    for name, info in mi.methods().items():
        parameters = ", ".join(f"`{key}={_shown(value)}`" for key, value in info.parameters.items())
        made = classes.get(name)
        rows.append(
            (f"`{name}`", f"`mi.{made}`" if made else "", "yes" if info.signed else "no", parameters, info.reference)
        )
    return table(("name", "class", "signed", "parameters and their defaults", "source"), rows)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float | tuple | type(None)) else f"{type(value).__name__}()"


def rules() -> str:
    """Every LRP rule, with the first sentence of its docstring."""
    return table(("class", "rule"), ((f"`mi.{name}`", first_line(rule)) for name, rule in mi.rules().items()))


def composites() -> str:
    """Every composite, with the rule of each kind of layer."""
    rows = []
    for name, composite in mi.composites().items():
        kinds = composite.by_kind
        first = "as convolutions" if composite.first is None else type(composite.first).__name__
        rows.append((f"`{name}`", *(type(kinds[kind]).__name__ for kind in ("convolution", "dense")), first))
    return table(("name", "convolutions", "dense layers", "input layer"), rows)


def networks() -> str:
    """The networks that a bundle's configuration may name."""
    from mri_interpret.models import networks

    ours = [f"- `{name}`" for name in sorted(networks._OWN)]
    return "\n".join([*ours, *(f"- `{name}` (MONAI)" for name in sorted(networks._MONAI))])


def steps() -> str:
    """The preprocessing steps that a bundle's metadata may list, with their parameters."""
    from dataclasses import MISSING, fields

    from mri_interpret.preprocessing.steps.chain import STEPS

    rows = []
    for name, step in STEPS.items():
        parameters = [
            f"`{item.name}`" if item.default is MISSING else f"`{item.name}={item.default!r}`" for item in fields(step)
        ]
        rows.append((f"`{name}`", first_line(step), ", ".join(parameters)))
    return table(("step", "what it does", "parameters and their defaults"), rows)


def commands() -> str:
    """Every command with its arguments and options."""
    import typer
    from mri_interpret.command_line.app import app

    group: Any = typer.main.get_command(app)
    parts = []
    for name, command in _flat(group.commands):
        rows = []
        for parameter in command.params:
            if getattr(parameter, "hidden", False) or "--help" in parameter.opts:
                continue
            is_option = parameter.opts[0].startswith("-")
            spelled = ", ".join(f"`{part}`" for part in (*parameter.opts, *parameter.secondary_opts))
            given = parameter.default
            default = "" if given in (None, "", False, ()) or callable(given) else f"`{given}`"
            if parameter.required:
                default = "required"
            rows.append((spelled if is_option else f"`{parameter.name.upper()}`", parameter.help or "", default))
        parts += [f"## {name}", (command.help or "").strip(), table(("", "", "default"), rows) if rows else ""]
    return "\n\n".join(parts)


def _flat(commands: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Commands with those below them, such as "models" and "models add"; hidden ones are left out."""
    for name, command in commands.items():
        if not command.hidden:
            yield f"{before}{name}", command
            yield from _flat(getattr(command, "commands", {}), f"{before}{name} ")


# What most readers look for comes first; the other names follow in the order in which the package lists them.
_FIRST = ("explain", "attribute", "check_map", "region_table", "simulate", "load", "methods", "rules", "composites")


def public() -> str:
    """Every public name, documented where it is defined."""
    places = {"methods": "mri_interpret.methods", "rules": "mri_interpret.rules"}
    places |= {name: f"mri_interpret.{module}.{name}" for name, module in mi._PUBLIC.items()}
    order = [*_FIRST, *(name for name in places if name not in _FIRST)]
    return "\n\n".join(f"::: {places[name]}\n    options: {{show_root_full_path: false}}" for name in order)


def rooms() -> str:
    """Every room with the modules in it, by the first sentence of each."""
    import ast

    package = Path(mi.__file__).parent
    parts = []
    for room in sorted(path for path in package.iterdir() if (path / "__init__.py").is_file()):
        rows = []
        for path in sorted(room.rglob("*.py")):
            if path.name == "__init__.py":
                continue
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            rows.append((f"`{path.relative_to(room).as_posix()}`", text.split("\n\n")[0].replace("\n", " ")))
        about = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
        parts += [f"## {room.name}", about, table(("file", "what is in it"), rows)]
    return "\n\n".join(parts)


def first_line(thing: Any) -> str:
    """The first sentence of a docstring."""
    return " ".join((thing.__doc__ or "").strip().split("\n\n")[0].split())


TABLES: dict[str, Callable[[], str]] = {
    "methods": methods,
    "rules": rules,
    "composites": composites,
    "networks": networks,
    "steps": steps,
    "commands": commands,
    "public": public,
    "rooms": rooms,
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables where a page asks for them (called by MkDocs)."""
    for name, make in TABLES.items():
        mark = f"<!-- table: {name} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    return markdown


# Docstrings name other code in Sphinx's way, :func:`~package.name`; Markdown knows only the name.
_ROLE = re.compile(r":(?:func|class|meth|mod|attr|exc|data):<code>~?([^<]*)</code>")


def on_page_content(html: str, **_: Any) -> str:
    """Take Sphinx's roles out of docstrings (called by MkDocs)."""
    return _ROLE.sub(lambda match: f"<code>{match[1].lstrip('.')}</code>", html)
