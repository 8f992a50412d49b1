"""Files that come from the page and go to it: scans that are sent, the report, the scene."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..errors import UserError
from ..scene.mrb import save_scene
from .uploads import check_name, check_size, receive

if TYPE_CHECKING:
    from .runs import Runs
    from .shown_result import ShownResult

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Files:
    """Answers for files, beside what trame serves.

    Parameters
    ----------
    runs, shown
        What is done with a scan, and which result is shown.
    folder
        Where files are kept for as long as the session lives.
    """

    def __init__(self, runs: Runs, shown: ShownResult, folder: Path) -> None:
        self._runs, self._shown, self._folder = runs, shown, folder

    def routes(self) -> list[web.RouteDef]:
        """For aiohttp."""
        return [
            # The form's answer is read by nobody; an error there would be one in the browser's console.
            web.post("/upload", self._saying(self._upload, refused=200)),
            web.get("/download/report.html", self._saying(self._report)),
            web.get("/download/scene.mrb", self._saying(self._scene)),
        ]

    def _saying(self, handler: Handler, refused: int = 400) -> Handler:
        """What is wrong is said in the page, too."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except UserError as error:
                with self._runs.state:
                    self._runs.say(str(error))
                return web.Response(text=str(error), status=refused)

        return answer

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        check_size(None if request.content_length is None else request.content_length - 2**20)  # less what is around it
        part = await (await request.multipart()).next()
        name = getattr(part, "filename", None)
        if part is None or not name:
            raise UserError("No file was sent: choose a scan.")
        own = check_name(name)
        with self._runs.state:
            self._runs.say(f"Receiving {own}")
        folder = Path(await asyncio.to_thread(_new_folder, self._folder))
        path = await receive(_chunks(part), own, folder)
        with self._runs.state:
            self._runs.add_scan(path, own)
        path.unlink(missing_ok=True)  # its voxels are in the scene
        folder.rmdir()
        return web.Response(text=own)

    async def _report(self, _request: web.Request) -> web.StreamResponse:
        """The page of the result that is shown, as soon as it is drawn."""
        result = self._shown.result
        if result is None:
            raise UserError("There is no result yet: explain a scan, or open a saved result.")
        path = Path(_new_folder(self._folder)) / "report.html"
        drawn: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def on_saved(_path: Path | None, sentence: str) -> None:
            if not drawn.done():  # else nobody waits any more
                drawn.set_result(sentence)

        self._runs.reports.save(result, path, on_saved)
        sentence = await drawn
        if sentence:
            raise UserError(sentence)
        return _attachment(path.read_bytes(), "report.html", "text/html")

    async def _scene(self, _request: web.Request) -> web.StreamResponse:
        """The scene with all results, for 3D Slicer."""
        if self._shown.result is None:
            raise UserError("There is no result yet: explain a scan, or open a saved result.")
        with TemporaryDirectory(dir=self._folder) as folder:
            path = Path(folder) / "scene.mrb"
            save_scene(self._shown.scene.scene, path)
            return _attachment(path.read_bytes(), "scene.mrb", "application/octet-stream")


async def _chunks(part: Any) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(2**18):
        yield chunk


def _new_folder(inside: Path) -> str:
    import tempfile

    return tempfile.mkdtemp(prefix="file-", dir=inside)


def _attachment(content: bytes, name: str, kind: str) -> web.Response:
    return web.Response(
        body=content, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
