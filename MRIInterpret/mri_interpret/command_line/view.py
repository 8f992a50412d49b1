"""`mri-interpret view`: the application in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from ..web.installed import check_installed


def view_command(folders: Sequence[Path], *, port: int | None, host: str, token: bool, browser: bool) -> None:
    """Serve until Ctrl-C."""
    check_installed()
    from ..web.server import ServerOptions, open_in_browser, serve

    def ready(address: str) -> None:
        typer.echo(f"{address}\nOpen this address in a browser. Ctrl-C ends the application.")
        typer.echo("Research use only, not for diagnosis.")
        if browser:
            open_in_browser(address)

    serve(ServerOptions(tuple(folders), port, host, token), ready)
