"""app.py as people start it: a real process, its exit status, its one line on stderr."""

import re
import resource
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.command_line import status
from tests.places import ROOT


def app(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "app.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


def assert_one_clear_line(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 2
    assert_one_line(result.stderr, *parts)


def assert_one_line(printed: str, *parts: str) -> None:
    assert len(printed.strip().splitlines()) == 1, printed
    assert "Traceback" not in printed
    for part in parts:
        assert part in printed


@pytest.mark.parametrize("port", ["99999", "-1", "abc", ""])
def test_a_wrong_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("serve", f"--port={port}") == 2
    assert_one_line(capsys.readouterr().err, "port")


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = app("serve", "--port", port, "--no-browser", "--data-dir", str(tmp_path / "d"))
    assert_one_clear_line(result, port)


def test_a_data_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    path = str(tmp_path / "file" / "data")
    assert_one_clear_line(app("serve", "--data-dir", path), path)


def test_no_space_left(tmp_path: Path) -> None:
    def no_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    result = app("serve", "--data-dir", str(tmp_path), preexec_fn=no_space)
    assert_one_clear_line(result, str(tmp_path))


def test_an_address_that_is_not_ours(tmp_path: Path) -> None:
    assert_one_clear_line(app("serve", "--host", "0.0.0.0", "--data-dir", str(tmp_path)), "0.0.0.0")


def test_an_unknown_option_and_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("serve", "--prot", "1") == 2
    assert_one_line(capsys.readouterr().err, "--prot")
    assert status("sevre") == 2
    assert_one_line(capsys.readouterr().err, "sevre")


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ja", ("使い方: app.py serve", "オプション:", "この説明", "待ち受けるポート")),
        ("en", ("usage: app.py serve", "options:", "show this help", "port to listen on")),
    ],
)
def test_help_in_both_languages(
    language: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """argparse's own words are English wherever it runs."""
    assert status("--language", language, "serve", "--help") == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in words)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "app.py", "serve", "--port", "0", "--no-browser"]
    command += ["--data-dir", str(tmp_path / "data"), "--models-dir", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"http://\S+", line)
        assert match, line
        yield process, match[0]
        process.kill()


@pytest.mark.parametrize(
    "sign", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.thorough)]
)
def test_it_serves_and_ends_on_a_signal(
    served: tuple[subprocess.Popen[str], str], sign: signal.Signals
) -> None:
    process, url = served
    with urllib.request.urlopen(url + "health", timeout=10) as answer:
        assert answer.status == 200
    process.send_signal(sign)
    assert process.wait(10) == 0


@pytest.mark.thorough
def test_killing_the_app_leaves_no_worker_behind(
    served: tuple[subprocess.Popen[str], str],
) -> None:
    process, url = served
    with urllib.request.urlopen(url, timeout=10):
        pass
    workers: list[psutil.Process] = []
    while not workers:
        workers = psutil.Process(process.pid).children()
    process.kill()
    assert psutil.wait_procs(workers, timeout=5)[1] == []


@pytest.mark.thorough
def test_two_apps_never_share_a_data_directory(
    served: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    """The second would take the first one's running answers for interrupted ones."""
    result = app("serve", "--port", "0", "--no-browser", "--data-dir", str(tmp_path / "data"))
    assert_one_clear_line(result, str(tmp_path / "data"))
