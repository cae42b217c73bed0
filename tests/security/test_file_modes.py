"""What is private on the disk: every file of the data folder, also in one from before (F13)."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.servers import PROJECT_DIR, serving
from webui.private import make_private

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """What most systems have; the processes that a test starts inherit it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def loose(folder: Path) -> dict[str, str]:
    """What others may touch below the folder, and how."""
    found = [folder, *folder.rglob("*")]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in found}
    return {
        str(path.relative_to(folder)): oct(mode)
        for path, mode in modes.items()
        if mode & 0o077 and not path.is_symlink()
    }


def test_whatever_a_session_leaves_behind_is_this_users_alone(
    standin: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()  # as somebody made it: 0755
    (data / "documents").mkdir()
    (data / "documents" / "old").write_text("古い資料", encoding="utf-8")
    (data / "settings.toml").write_text("idle_minutes = 5\n", encoding="utf-8")
    (data / "lock").touch()
    assert set(loose(data)) == {".", "documents", "documents/old", "settings.toml", "lock"}
    command = [sys.executable, "app.py", "keys", "create", "太郎", "--data-dir", str(data)]
    subprocess.run(command, cwd=PROJECT_DIR, check=True, capture_output=True)
    with serving(tmp_path) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        name = {"x-file-name": "a.txt"}
        added = http.post("/documents/files", content="本文です。".encode(), headers=name)
        assert added.status_code == 200, added.text
        chat = {"messages": [{"role": "user", "content": "はい"}], "max_tokens": 2}
        assert http.post("/v1/chat/completions", json=chat).status_code == 200
        assert {path.name for path in data.iterdir()} >= {"kajogaki.db", "kajogaki.db-wal", "lock"}
        assert loose(data) == {}
    assert loose(data) == {}


def test_only_what_is_ours_is_changed_and_no_link_is_followed(tmp_path: Path) -> None:
    """The data folder may be a home folder."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").touch()
    data = tmp_path / "data"
    (data / "documents").mkdir(parents=True)
    (data / "Pictures").mkdir()
    (data / "documents" / "link").symlink_to(outside / "file")
    (data / "vectors").symlink_to(outside)
    (data / "kajogaki.db").touch(mode=0o400)
    make_private(data)
    assert set(loose(data)) == {"Pictures"}
    assert stat.S_IMODE((data / "kajogaki.db").stat().st_mode) == 0o400  # nothing is given
    assert set(loose(outside)) == {".", "file"}
