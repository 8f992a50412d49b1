"""A visitor's process: ``python -m mri_interpret.web.session``. It serves the application to the front server alone.

Its standard input begins with a line of JSON (the secret, the folders that may be read, its own temporary folder), and
ends when the front server does: then the process ends its worker, deletes its folder and ends. On standard output it
writes one line, its port, when it is ready.
"""

from __future__ import annotations

import hmac
import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

from ..worker.process import end_all
from .front_header import SECRET_HEADER


def main() -> None:
    """Serve until standard input ends."""
    settings = json.loads(sys.stdin.buffer.readline())
    folder = Path(settings["folder"])
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to the log
    threading.Thread(target=_end_with_front, args=(folder,), daemon=True).start()
    sys.argv = sys.argv[:1]  # trame reads options from there

    from aiohttp import web
    from trame.app import get_server

    from .application import Application
    from .open_folders import OpenFolders

    server = get_server("mri-interpret", client_type="vue3")
    application = Application(server, OpenFolders(settings["folders"]), folder)

    @web.middleware
    async def only_front(request: web.Request, handler: Any) -> Any:
        """Other users of this machine reach the port, too."""
        if not hmac.compare_digest(request.headers.get(SECRET_HEADER, "").encode(), settings["secret"].encode()):
            raise web.HTTPForbidden
        return await handler(request)

    async def no_launcher(_request: web.Request) -> web.Response:
        """trame's page first asks for a launcher; without an answer it would write an error into its console."""
        return web.json_response(None)

    async def index(_request: web.Request) -> web.Response:
        """trame's page; but readers may enlarge it, and it has its own title from the beginning."""
        from trame_client.module import vue3

        text = (Path(vue3.www) / "index.html").read_text(encoding="utf-8")
        text = text.replace(",maximum-scale=1,minimum-scale=1", "").replace("trame is built by Kitware", "MRIInterpret")
        return web.Response(text=text, content_type="text/html")

    def bind(wslink_server: Any) -> None:
        wslink_server.app.middlewares.append(only_front)
        wslink_server.app.router.add_get("/index.html", index)
        wslink_server.app.add_routes(application.files.routes())
        wslink_server.app.router.add_post("/paraview/", no_launcher)

    def ready(**_state: Any) -> None:
        print(json.dumps({"port": server.port}), file=answer, flush=True)
        application.begin()

    server.controller.on_server_bind.add(bind)
    server.controller.on_server_ready.add(ready)
    server.start(
        port=0, host="127.0.0.1", open_browser=False, show_connection_info=False, timeout=0, disable_logging=True
    )


def _end_with_front(folder: Path) -> None:
    while os.read(0, 4096):  # not sys.stdin: a thread that waits there would make the interpreter's own end fail
        pass
    end_all()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
