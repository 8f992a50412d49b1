"""``mi.view`` in a notebook, and the command's own refusals."""

from __future__ import annotations

import re
from urllib.error import HTTPError
from urllib.request import urlopen

import mri_interpret as mi
import pytest
from mri_interpret.command_line.app import main
from mri_interpret.web import installed

pytest.importorskip("aiohttp", reason="The extra web is not installed.")


def test_a_notebook_shows_the_application_in_a_frame_and_ends_it(tmp_path):
    shown = mi.view(tmp_path, height=700)
    source = re.search(r'<iframe src="(http://127\.0\.0\.1:\d+/[\w-]{43}/)".*height:700px', shown._repr_html_())
    assert source is not None
    assert source[1] == shown.address
    with pytest.raises(HTTPError, match="403"):  # without the token
        urlopen(shown.address.rsplit("/", 2)[0] + "/", timeout=30)
    shown.close()
    with pytest.raises(OSError, match="refused"):
        urlopen(shown.address, timeout=5)


def test_behind_jupyters_proxy_the_frame_is_at_its_address(tmp_path):
    shown = mi.view(tmp_path, proxy="/user/name/")
    port, token = re.search(r":(\d+)/([\w-]+)/", shown.address).groups()
    assert f'src="/user/name/proxy/{port}/{token}/"' in shown._repr_html_()
    shown.close()


def test_a_missing_folder_and_missing_packages_are_said_in_a_sentence(tmp_path, monkeypatch, capsys):
    with pytest.raises(mi.UserError, match="is not a folder"):
        mi.view(tmp_path / "nothing")
    monkeypatch.setattr(installed, "_NEEDED", ("json", "no_such_package"))
    with pytest.raises(SystemExit) as end:
        main(["view", str(tmp_path)])
    assert end.value.code == 2
    assert "(no_such_package)" in capsys.readouterr().err
