"""A built documentation site fetches nothing from another server: ``python -m Testing.tools.check_site FOLDER``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

# Tags that load something as the page opens, with the attribute that names it. A link that a reader clicks is no such.
_LOADS = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src",
    "object": "data",
}  # fmt: skip
_LOADING_LINKS = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "manifest",
    "modulepreload",
}
_ELSEWHERE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)
_IN_STYLE = re.compile(r"""(?:url\(|@import)\s*['"]?\s*((?:https?:)?//[^'")\s]+)""", re.IGNORECASE)


class _Loads(HTMLParser):
    """Collects what a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        address = values.get(_LOADS.get(tag, ""), "")
        if tag == "link" and _LOADING_LINKS & set(values.get("rel", "").split()):
            address = values.get("href", "")
        if _ELSEWHERE.match(address):
            self.found.append(f"<{tag}> {address}")
        self.found += _IN_STYLE.findall(values.get("style", ""))


def fetched(folder: Path) -> Iterator[str]:
    """File and address of everything that pages and style sheets below ``folder`` would fetch."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".html":
            page = _Loads()
            page.feed(path.read_text(encoding="utf-8"))
            addresses = page.found
        elif path.suffix == ".css":
            addresses = _IN_STYLE.findall(path.read_text(encoding="utf-8"))
        else:
            continue
        yield from (f"{path.relative_to(folder)}: {address}" for address in addresses)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if not (folder / "index.html").is_file():
        sys.exit(f"{folder} holds no site.")
    problems = list(fetched(folder))
    sys.exit("\n".join(["The site fetches from elsewhere:", *problems]) if problems else 0)
