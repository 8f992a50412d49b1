"""The server that a browser meets: it lets in who may come, and passes everything on to the visitor's own session."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Mapping
from html import escape
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, ClientWebSocketResponse, DummyCookieJar, WSMsgType, web

from ..errors import UserError
from .front_header import SECRET_HEADER
from .sessions import Session, Sessions

Socket = web.WebSocketResponse | ClientWebSocketResponse
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
# They concern one connection, not what is passed on (RFC 9110, 7.6.1).
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
     "upgrade", "host", "content-encoding")
)  # fmt: skip
_LARGEST_MESSAGE = 64 * 2**20  # between a page and its session, in bytes
# Everything comes from here: a page that is told so by the browser itself cannot load or send anything elsewhere.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: wss:; "
    "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*"  # notebooks on this machine
)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Front:
    """Routes of the server.

    Parameters
    ----------
    sessions
        Of the visitors.
    token
        What an address must begin with; empty if it may be left out, which is only for servers that only this machine
        reaches.
    """

    def __init__(self, sessions: Sessions, token: str = "") -> None:
        self._sessions = sessions
        self._token = token
        self._client: ClientSession | None = None

    def application(self) -> web.Application:
        """What aiohttp serves."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        app.on_startup.append(self._open)
        app.on_cleanup.append(self._close)
        return app

    async def _open(self, _app: web.Application) -> None:
        self._client = ClientSession(
            cookie_jar=DummyCookieJar(), auto_decompress=False, timeout=ClientTimeout(total=None)
        )

    async def _close(self, _app: web.Application) -> None:
        if self._client is not None:
            await self._client.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = self._admitted(request)
        if path is None:
            return _page("The address is not complete: open the one that was printed when the server was started.", 403)
        if path.startswith("s/"):
            name, slash, rest = path[2:].partition("/")
            session = self._sessions.find(name)
            if session is not None and slash:
                return await self._pass_on(request, session, rest)
            if session is not None:
                return _moved(f"{name}/")
            if rest:
                return _page("This session has ended: load the page again.", 404)
            return _moved("../../" if slash else "../")  # a page that was left for long, or of a former server
        if path:
            return _page("There is nothing at this address.", 404)
        try:
            session = await self._sessions.start()
        except UserError as error:
            return _page(str(error), 503)
        return _moved(f"s/{session.name}/")

    def _admitted(self, request: web.Request) -> str | None:
        """The rest of the path for somebody who may come in; None for anybody else."""
        path = request.match_info["path"]
        if not self._token:
            # A page from elsewhere whose name was made to stand for this machine is told apart by that name.
            return path if _host_of(request.headers.get("Host", "")) in _LOOPBACK_NAMES else None
        given, _, rest = path.partition("/")
        return rest if hmac.compare_digest(given.encode(errors="replace"), self._token.encode()) else None

    async def _pass_on(self, request: web.Request, session: Session, rest: str) -> web.StreamResponse:
        address = f"http://127.0.0.1:{session.port}/{rest}"
        headers = _passed_on(request.headers) | {SECRET_HEADER: session.secret}
        assert self._client is not None
        try:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._pass_messages(request, session, address)
            body = request.content if request.can_read_body else None
            async with self._client.request(
                request.method, address, params=request.query, headers=headers, data=body, allow_redirects=False
            ) as inner:
                answer = web.StreamResponse(status=inner.status, headers=_passed_on(inner.headers) | _guards())
                if "Content-Encoding" in inner.headers:
                    answer.headers["Content-Encoding"] = inner.headers["Content-Encoding"]
                await answer.prepare(request)
                async for chunk in inner.content.iter_chunked(2**16):
                    await answer.write(chunk)
                await answer.write_eof()
                return answer
        except (ClientError, ConnectionError):
            return _page("This session has ended: load the page again.", 502)

    async def _pass_messages(self, request: web.Request, session: Session, address: str) -> web.StreamResponse:
        """A websocket: what comes from either side goes to the other, until one of them closes it."""
        assert self._client is not None
        outer = web.WebSocketResponse(max_msg_size=_LARGEST_MESSAGE)
        async with self._client.ws_connect(
            address, headers={SECRET_HEADER: session.secret}, max_msg_size=_LARGEST_MESSAGE
        ) as inner:
            await outer.prepare(request)
            self._sessions.connected(session)
            try:
                ways = [asyncio.create_task(_copy(outer, inner)), asyncio.create_task(_copy(inner, outer))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
            finally:
                self._sessions.disconnected(session)
                await outer.close()
        return outer


async def _copy(source: Socket, sink: Socket) -> None:
    async for message in source:
        if message.type is WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await sink.send_bytes(message.data)


def _host_of(header: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    named = {name.strip().lower() for name in headers.get("Connection", "").split(",")}
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP | named}


def _guards() -> dict[str, str]:
    return {
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


def _moved(to: str) -> web.Response:
    """To an address beside the one that was asked for: so it is right behind a proxy that puts something before it."""
    return web.Response(status=302, headers={"Location": to, **_guards()})


def _page(sentence: str, status: int) -> web.Response:
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>MRIInterpret</title>'
        f'<body style="font:16px sans-serif;margin:2em;max-width:40em"><h1>MRIInterpret</h1><p>{escape(sentence)}</p>'
        "<p>Research use only, not for diagnosis.</p></body></html>"
    )
    return web.Response(text=text, status=status, content_type="text/html", headers=_guards())
