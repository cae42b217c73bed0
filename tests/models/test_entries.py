"""Entries of the catalogue: ours are sound, and a user's mistake is told with file and key."""

import shutil
from pathlib import Path

import pytest

from tests.places import ROOT
from webui.models import (
    BadEntryError,
    Catalog,
    ModelKind,
    load_entries,
    load_entry,
)
from webui.strings import Language

MODELS_DIR = ROOT / "models"
SOUND = """
name = "Mine"
maker = "Me"
kind = "chat"
repository = "me/mine-GGUF"
license = "MIT"
ram_gb = 8
[why]
ja = "よいから"
en = "it is good"
[[files]]
file = "sub/mine-Q4_K_M.gguf"
quantization = "Q4_K_M"
bytes = 1000
"""
ARTICLES_MODELS = {
    "rakutenai-7b-chat",
    "gemma-2-2b-it",
    "vicuna-13b-v1.5",
    "karakuri-lm-8x7b-chat",
    "karakuri-lm-70b-chat",
    "mistral-7b-v0.1",
    "fugaku-llm-13b-instruct",
}


def write(folder: Path, content: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def test_our_entries_are_sound_and_offer_something_in_every_class() -> None:
    entries = load_entries(MODELS_DIR, MODELS_DIR)
    assert entries.problems == ()
    recommended = [entry for entry in entries.entries if entry.is_recommended]
    chat = [entry.ram_gb for entry in recommended if entry.kind is ModelKind.CHAT]
    assert chat == [4, 8, 16, 32], "one recommendation in each class of memory"
    kinds = [entry.kind for entry in recommended if entry.kind is not ModelKind.CHAT]
    assert kinds == [ModelKind.EMBEDDER, ModelKind.RERANKER]
    assert {entry.id for entry in entries.entries if entry.is_article} == ARTICLES_MODELS
    assert not any(entry.is_user_made for entry in entries.entries)


def test_a_default_file_fits_its_class_by_the_rule_of_one_and_a_half() -> None:
    for entry in load_entries(MODELS_DIR, MODELS_DIR).entries:
        file = entry.default_file
        if file and entry.ram_gb < 64:
            assert file.bytes <= entry.ram_gb * 1e9 / 1.5, entry.id


def test_what_is_called_better_exists_and_is_not_itself_surpassed() -> None:
    entries = load_entries(MODELS_DIR, MODELS_DIR)
    for entry in entries.entries:
        if entry.better:
            assert entries.get(entry.better).better == "", entry.id


def test_file_names_are_unique_so_that_a_file_tells_its_entry() -> None:
    names = [f.file for e in load_entries(MODELS_DIR, MODELS_DIR).entries for f in e.files]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("old", "new", "key", "named"),
    [
        ('maker = "Me"', 'maker = "Me"\nmakr = 1', "entry_unknown", "makr"),
        ('maker = "Me"', "", "entry_missing", "maker"),
        ('name = "Mine"', "name = 3", "entry_type", "name"),
        ('kind = "chat"', 'kind = "talk"', "entry_choices", "kind"),
        ("ram_gb = 8", "ram_gb = true", "entry_type", "ram_gb"),
        ("ram_gb = 8", "ram_gb = 7", "entry_choices", "ram_gb"),
        ("ram_gb = 8", "ram_gb = -8", "entry_type", "ram_gb"),
        ("me/mine-GGUF", "https://example.com/x", "entry_choices", "repository"),
        ("me/mine-GGUF", "../../etc", "entry_choices", "repository"),
        ('en = "it is good"', "", "entry_choices", "why"),
        ("sub/mine-Q4_K_M.gguf", "../mine.gguf", "entry_path", "files[0].file"),
        ("sub/mine-Q4_K_M.gguf", "/mine.gguf", "entry_path", "files[0].file"),
        ("sub/mine-Q4_K_M.gguf", "mine.bin", "entry_choices", "files[0].file"),
        ("bytes = 1000", 'bytes = "1000"', "entry_type", "files[0].bytes"),
        ("bytes = 1000", "bytes = 1000\nsha256 = 'x'", "entry_choices", "files[0].sha256"),
        ("bytes = 1000", "", "entry_missing", "files[0].bytes"),
        ("bytes = 1000", "bytes = 1000\nmirror = 'x'", "entry_unknown", "files[0].mirror"),
        ("[[files]]", "[sampling]\ntemprature = 1\n[[files]]", "entry_unknown", "sampling.tempra"),
        ("[[files]]", "[sampling]\ntop_p = true\n[[files]]", "entry_type", "sampling.top_p"),
        ("[why]", "[why", "entry_unreadable", "mine.toml"),
    ],
)
def test_a_mistake_names_file_and_key(
    tmp_path: Path, old: str, new: str, key: str, named: str
) -> None:
    assert old in SOUND
    path = write(tmp_path, SOUND.replace(old, new))
    with pytest.raises(BadEntryError) as caught:
        load_entry(path)
    assert caught.value.key == f"catalog.{key}"
    for language in Language:
        assert "mine.toml" in caught.value.message(language)
        assert named in caught.value.message(language)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_bytes(b"name = '\xff'")
    entries = load_entries(MODELS_DIR, tmp_path)
    assert [error.key for error in entries.problems] == ["catalog.entry_unreadable"]
    assert entries.entries, "a user's mistake does not take our own entries away"


def test_a_users_entry_is_added_and_replaces_ours_of_the_same_id(tmp_path: Path) -> None:
    write(tmp_path, SOUND)
    write(tmp_path, SOUND, "gemma-4-e2b-it.toml")
    entries = load_entries(MODELS_DIR, tmp_path)
    assert entries.get("mine").is_user_made
    assert entries.get("gemma-4-e2b-it").name == "Mine"
    with pytest.raises(BadEntryError):
        entries.get("no-such-model")


def test_a_file_in_the_folder_is_joined_with_its_entry(tmp_path: Path, standin: Path) -> None:
    builtin = tmp_path / "program" / "builtin"
    builtin.mkdir(parents=True)
    write(builtin.parent, SOUND.replace('maker = "Me"', 'maker = "Me"\nfamily = "chatml"'))
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(standin, folder / "Mine-q4_k_m.gguf")
    shutil.copy(standin, folder / "other.gguf")
    catalog = Catalog(folder, builtin)
    joined = {spec.id: (spec.entry_id, spec.family) for spec in catalog.models()}
    assert joined["Mine-q4_k_m"] == ("mine", "chatml")
    assert joined["other"] == ("", "")


def test_an_entry_that_was_changed_is_read_again(tmp_path: Path) -> None:
    builtin = tmp_path / "builtin"
    builtin.mkdir()
    catalog = Catalog(tmp_path / "models", builtin)
    assert catalog.entries().entries == ()
    write(tmp_path, SOUND)
    assert [entry.id for entry in catalog.entries().entries] == ["mine"]
    write(tmp_path, SOUND + "\nfoo = 1")
    assert [error.key for error in catalog.entries().problems] == ["catalog.entry_unknown"]
