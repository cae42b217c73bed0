"""The command line as scripts use it: pipes, JSON, exit status, both languages."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import status
from webui.config import PROJECT_DIR
from webui.strings import Language, table


@pytest.fixture
def data_dir(tmp_path: Path, standin: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "data"


def app(
    *arguments: str, data_dir: Path, typed: str | None = ""
) -> subprocess.CompletedProcess[str]:
    folders = ["--data-dir", str(data_dir), "--models-dir", str(data_dir.parent / "models")]
    return subprocess.run(
        [sys.executable, "app.py", *arguments, *folders],
        cwd=PROJECT_DIR,
        input=typed,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_chat_answers_in_a_pipe(data_dir: Path) -> None:
    made = app("chat", "次の文を", "--max-tokens", "8", data_dir=data_dir, typed="要約して")
    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() and made.stdout.endswith("\n") and made.stderr == ""


@pytest.mark.thorough
def test_chat_gives_json_for_scripts_and_repeats_with_a_seed(data_dir: Path) -> None:
    options = ("--json", "--max-tokens", "8", "--seed", "4")
    answers: list[Any] = [
        json.loads(app("chat", "はい", *options, data_dir=data_dir).stdout) for _ in range(2)
    ]
    assert answers[0]["content"] == answers[1]["content"] != ""
    assert answers[0]["model"] == "standin" and answers[0]["finish_reason"] == "length"
    assert answers[0]["usage"]["completion_tokens"] == 8


@pytest.mark.parametrize(
    "arguments",
    [
        ("chat",),
        ("chat", "はい", "--max-tokens", "0"),
        ("chat", "はい", "--temperature", "-1"),
        ("chat", "はい", "--model", "nowhere"),
        ("bench", "--concurrency", "0"),
        ("bench", "--tokens", "x"),
        ("keys", "create", ""),
        ("keys", "revoke", "nobody"),
        ("keys",),
        ("nonsense",),
    ],
    ids=" ".join,
)
def test_a_mistake_is_status_2_and_one_line(
    arguments: tuple[str, ...],
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    folders = ["--data-dir", str(data_dir), "--models-dir", str(data_dir.parent / "models")]
    assert status(*arguments, *folders) == 2
    printed = capsys.readouterr()
    assert printed.err.strip() and printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.thorough
def test_bench_prints_one_json_line(data_dir: Path) -> None:
    made = app("bench", "--tokens", "16", "--concurrency", "3", "--json", data_dir=data_dir)
    (line,) = made.stdout.splitlines()
    result = json.loads(line)
    assert result["one"]["tokens"] == 16 and result["many"]["tokens"] == 48
    assert result["many"]["tokens_per_s"] > 0
    assert result["many"]["inter_token_p95_s"] >= result["many"]["inter_token_p50_s"]


@pytest.mark.parametrize("command", ["chat", "bench", "keys", "keys create"])
@pytest.mark.parametrize("language", list(Language))
def test_help_is_in_both_languages(
    command: str,
    language: Language,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("KAJOGAKI_LANGUAGE", language)
    monkeypatch.setenv("COLUMNS", "200")
    assert status(*command.split(), "--help") == 0
    words = {"chat": "system_help", "bench": "bench_tokens_help"}.get(command, "password_help")
    if command == "keys":
        words = "keys_list_help"
    assert table()[f"commands.{words}"][language] in capsys.readouterr().out


def test_the_first_user_and_those_made_so_administer(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ("--data-dir", str(data_dir))
    for user, *more in (("a",), ("b",), ("c", "--admin")):
        assert status("keys", "create", user, *more, *folder) == 0
    capsys.readouterr()
    assert status("keys", "list", "--json", *folder) == 0
    assert json.loads(capsys.readouterr().out)["admins"] == ["a", "c"]
    assert status("keys", "list", *folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith("(admin)") for line in lines] == [True, False, True]
