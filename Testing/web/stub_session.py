"""A session without trame and Slicer, for tests of the server in front of it: it answers with what it was asked."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from pathlib import Path

from aiohttp import web
from mri_interpret.web.front_header import SECRET_HEADER


def main() -> None:
    settings = json.loads(sys.stdin.buffer.readline())
    folder = Path(settings["folder"])
    (folder / "a scan.nii").touch()

    def end() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers[SECRET_HEADER] != settings["secret"]:
            raise web.HTTPForbidden
        if request.path == "/ws":
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                await socket.send_str(f"heard {message.data}")
            return socket
        body = await request.text()
        return web.json_response({"path": request.path, "query": dict(request.query), "body": body, "pid": os.getpid()})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)

    async def serve() -> None:
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
