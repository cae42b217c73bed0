"""`app.py summarize` as scripts use it: real processes, pipes, exit codes, kill -9."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command_line import status
from tests.places import ROOT
from tests.tasks.summary_world import ME, document
from webui.storage import Storage

PROJECT_DIR = ROOT
LIMIT_S = 120


def command(tmp_path: Path, *arguments: str) -> list[str]:
    (tmp_path / "models").mkdir(exist_ok=True)
    places = ["--data-dir", str(tmp_path / "data"), "--models-dir", str(tmp_path / "models")]
    return [sys.executable, "app.py", "summarize", *arguments, *places]


def run(tmp_path: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(tmp_path, *arguments),
        cwd=PROJECT_DIR,
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=LIMIT_S,
    )


@pytest.mark.usefixtures("standin")
def test_text_from_a_pipe_becomes_json(tmp_path: Path) -> None:
    done = run(
        tmp_path, "-", "--bullets", "3", "--mode", "verbatim", "--format", "json", text=document(2)
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["bullets"]) == 3 and result["language_ok"] is True
    assert all(bullet["sources"][0]["score"] == 1 for bullet in result["bullets"])
    assert "トークン" in done.stderr  # the plan, apart from the result


@pytest.mark.thorough
@pytest.mark.usefixtures("standin")
def test_an_embedder_that_is_not_there_takes_nothing_away(tmp_path: Path) -> None:
    asked = ("-", "--bullets", "2", "--mode", "abstract", "--format", "json", "--embedder")
    without, missing = (run(tmp_path, *asked, name, text=document(1)) for name in ("off", "gone"))
    assert without.returncode == missing.returncode == 0, missing.stderr
    assert len(json.loads(missing.stdout)["bullets"]) == 2


@pytest.mark.thorough
@pytest.mark.usefixtures("standin")
def test_a_folder_gives_one_result_each(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in ("一.txt", "二.md"):
        (folder / name).write_text(document(1), encoding="utf-8")
    (folder / "三.txt").write_bytes(b"\x00\x01\x02" * 50)
    out = tmp_path / "out"
    done = run(tmp_path, str(folder), "--bullets", "2", "--mode", "verbatim", "--format", "txt",
               "--output", str(out))  # fmt: skip
    assert done.returncode == 2 and "三.txt" in done.stderr  # told, and the others are done
    assert sorted(path.name for path in out.iterdir()) == ["一.txt.txt", "二.md.txt"]
    for path in out.iterdir():
        assert path.read_text(encoding="utf-8").count("・") == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-"], ""),
        (["-", "--bullets", "21"], "本文です。"),
        (["missing.pdf"], ""),
        (["-", "--model", "no such model"], "本文です。"),
    ],
    ids=["empty", "too many bullets", "no file", "no model"],
)
def test_mistakes_are_one_line_and_exit_2(
    arguments: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8"))
    assert status(*command(tmp_path, *arguments)[2:]) == 2
    printed = capsys.readouterr()
    assert len(printed.err.strip().splitlines()) == 1 and printed.out == ""


@pytest.mark.thorough
@pytest.mark.usefixtures("standin")
def test_a_killed_program_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text(document(150), encoding="utf-8")
    arguments = [str(path), "--bullets", "4", "--yes", "--format", "json"]
    process = subprocess.Popen(
        command(tmp_path, *arguments),
        cwd=PROJECT_DIR,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    done = wait_for_parts(tmp_path / "data" / "kajogaki.db", 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    second = run(tmp_path, *arguments)
    assert second.returncode == 0, second.stderr
    assert "続き" in second.stderr
    result = json.loads(second.stdout)
    assert len(result["bullets"]) == 4
    storage = Storage(tmp_path / "data" / "kajogaki.db")
    try:
        (record,) = storage.summaries.newest(ME)  # the same one, not a second
        assert record.num_parts_done >= done and record.status == "complete"
    finally:
        storage.close()


def wait_for_parts(path: Path, count: int) -> int:
    """Until the run has saved so many."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if path.exists():
            storage = Storage(path)
            records = storage.summaries.newest(ME)
            storage.close()
            if records and records[0].num_parts_done >= count:
                return records[0].num_parts_done
        time.sleep(0.1)
    raise AssertionError("nothing was saved")
