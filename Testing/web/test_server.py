"""Who is let in, what is passed on, when a session ends, and what is left behind: with sessions that are stubs."""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp")

from aiohttp.test_utils import TestClient, TestServer
from mri_interpret.errors import UserError
from mri_interpret.web import sessions as module
from mri_interpret.web.front import Front, is_loopback
from mri_interpret.web.server import ServerOptions, serve
from mri_interpret.web.sessions import PREFIX, Sessions

COMMAND = [sys.executable, "-m", "Testing.web.stub_session"]
TOKEN = "a-token"


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def visit(
    do: Callable[[Any, Sessions], Awaitable[None]], token: str = "", grace: float = 0.2, command: Any = COMMAND
) -> None:
    """Do something as a visitor of a server."""

    async def run() -> None:
        sessions = Sessions([], grace, command)
        try:
            async with TestClient(TestServer(Front(sessions, token).application())) as client:
                await do(client, sessions)
        finally:
            sessions.end_all()

    asyncio.run(run())


async def begin(client: Any, at: str = "/") -> str:
    """Start a session; its address."""
    async with client.get(at, allow_redirects=False) as answer:
        assert answer.status == 302
        return at + answer.headers["Location"]


def test_a_request_reaches_the_session_whole_and_its_answer_comes_back():
    async def do(client: Any, _sessions: Sessions) -> None:
        at = await begin(client)
        async with client.post(f"{at}some/path?a=1&b=%C3%A4", data=b"x" * 300_000) as answer:
            heard = await answer.json()
            assert (heard["path"], heard["query"]) == ("/some/path", {"a": "1", "b": "ä"})
            assert len(heard["body"]) == 300_000
            assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
        async with client.ws_connect(f"{at}ws") as page:
            await page.send_str("hello")
            assert await page.receive_str() == "heard hello"

    visit(do)


@pytest.mark.parametrize("path", ["/", "/wrong/", "/a-toke/", "/s/x/", "/?token=a-token", "/%FF/"])
def test_without_the_token_nobody_comes_in_and_nothing_is_started(path):
    async def do(client: Any, sessions: Sessions) -> None:
        async with client.get(path, allow_redirects=False) as answer:
            assert answer.status == 403
        assert len(sessions) == 0

    visit(do, TOKEN)


def test_with_the_token_one_comes_in_but_not_without_it_to_the_session_either():
    async def do(client: Any, _sessions: Sessions) -> None:
        at = await begin(client, f"/{TOKEN}/")
        async with client.get(at) as answer:
            assert answer.status == 200
        async with client.get(at.removeprefix(f"/{TOKEN}")) as answer:
            assert answer.status == 403

    visit(do, TOKEN)


def test_without_a_token_a_foreign_name_of_this_machine_is_refused():
    async def do(client: Any, _sessions: Sessions) -> None:
        async with client.get("/", headers={"Host": "evil.example:80"}) as answer:
            assert answer.status == 403

    visit(do)


def test_a_session_outlives_a_reload_and_ends_when_its_tab_is_closed(own_temporary_folder):
    async def do(client: Any, sessions: Sessions) -> None:
        at = await begin(client)
        for _ in range(2):  # the second time, the page is loaded again before the grace is over
            async with client.ws_connect(f"{at}ws") as page:
                await page.send_str("here")
                await page.receive_str()
        (folder,) = own_temporary_folder.glob(f"{PREFIX}*/session-*")
        end = time.monotonic() + 20
        while (len(sessions) or folder.exists()) and time.monotonic() < end:
            await asyncio.sleep(0.05)
        assert len(sessions) == 0
        assert not folder.exists()
        async with client.get(at, allow_redirects=False) as answer:  # left for long, then loaded again: a new session
            assert (answer.status, answer.headers["Location"]) == (302, "../../")

    visit(do, grace=0.6)


def test_more_sessions_than_memory_suffices_for_are_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(module, "MOST_SESSIONS", 0)

    async def do(client: Any, _sessions: Sessions) -> None:
        async with client.get("/") as answer:
            assert answer.status == 503
            assert "close a tab" in await answer.text()

    visit(do)


def test_a_session_that_does_not_start_is_said_with_its_last_words():
    async def do(client: Any, _sessions: Sessions) -> None:
        async with client.get("/") as answer:
            assert answer.status == 503
            assert "no scene today" in await answer.text()

    visit(do, command=[sys.executable, "-c", "raise SystemExit('no scene today')"])


def test_what_a_killed_server_left_is_removed_at_the_next_start_and_nothing_else(own_temporary_folder):
    left, live = own_temporary_folder / f"{PREFIX}left", Sessions([], 1.0, COMMAND)
    left.mkdir()
    (left / "in-use.lock").touch()  # nobody holds it
    (left / "a scan.nii").touch()
    other = own_temporary_folder / "other"
    other.mkdir()
    second = Sessions([], 1.0, COMMAND)
    try:
        assert not left.exists()
        assert live.folder.exists()
        assert other.exists()
    finally:
        second.end_all()
        live.end_all()
    assert list(own_temporary_folder.iterdir()) == [other]


def test_a_port_in_use_and_a_missing_folder_are_refused_in_a_sentence(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port} is in use"):
            serve(ServerOptions(port=port), lambda address: None)
    with pytest.raises(UserError, match="is not a folder"):
        serve(ServerOptions((tmp_path / "nothing",)), lambda address: None)
    with pytest.raises(UserError, match="no address of this machine"):
        serve(ServerOptions(host="no.such.host.invalid"), lambda address: None)


def test_beyond_this_machine_the_address_has_a_token():
    assert [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "10.0.0.4")] == [
        True, True, True, False, False,
    ]  # fmt: skip

    class Told(Exception):
        pass

    seen = []

    def ready(address: str) -> None:
        seen.append(address)
        raise Told

    for options in (ServerOptions(port=0), ServerOptions(port=0, token=True), ServerOptions(port=0, host="0.0.0.0")):
        with pytest.raises(Told):
            serve(options, ready)
    without, *tokens = [address.split("/", 3)[3] for address in seen]
    assert without == ""
    assert all(len(token) >= 43 and token.endswith("/") for token in tokens)
    assert len(set(tokens)) == 2
