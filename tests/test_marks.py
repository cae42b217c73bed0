"""A byte order mark, which Windows' editors put in front of UTF-8, matters in no file of ours."""

import json
import shutil
from pathlib import Path

import pytest

from webui.config import load_settings
from webui.models.entries import load_entry
from webui.models.remotes import is_remote, load_remote
from webui.prompts.families import load_family

ROOT = Path(__file__).parents[1]
MARKS = Path(__file__).parent / "data" / "cases" / "marks"


def test_settings(tmp_path: Path) -> None:
    shutil.copy(MARKS / "settings.toml", tmp_path)
    assert load_settings({"data_dir": str(tmp_path)}, {}).port == 7861


def test_a_remote_model_is_not_passed_over() -> None:
    assert is_remote(MARKS / "remote.toml")
    assert load_remote(MARKS / "remote.toml").base_url == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize("name", ["chatml", "elyza-llama3"])
def test_families_and_their_templates(name: str, tmp_path: Path) -> None:
    """In chat.jinja the mark stood in front of every prompt."""
    own = ROOT / "prompts" / name
    marked = tmp_path / name
    marked.mkdir()
    for file in filter(Path.is_file, own.iterdir()):
        (marked / file.name).write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    family, plain = load_family(marked), load_family(own)
    messages = [{"role": "user", "content": "こんにちは"}]
    assert family.format.render(messages).text == plain.format.render(messages).text


def test_catalogue_entries(tmp_path: Path) -> None:
    own = next((ROOT / "models").rglob("*.toml"))
    (tmp_path / own.name).write_bytes(b"\xef\xbb\xbf" + own.read_bytes())
    assert load_entry(tmp_path / own.name) == load_entry(own)


def test_every_file_that_people_edit_is_read_with_or_without_a_mark() -> None:
    """The kind, not the places that were found: whatever parses TOML or JSON from a path."""
    for file in (ROOT / "webui").rglob("*.py"):
        if file.name in ("messages.py", "boot.py"):  # our own: never edited
            continue
        for line in file.read_text(encoding="utf-8").splitlines():
            if "loads(" in line and ".read_text(" in line and "__file__" not in line:
                assert 'encoding="utf-8-sig"' in line, f"{file}: {line.strip()}"
    assert json.loads(b"\xef\xbb\xbf{}".decode("utf-8-sig")) == {}
