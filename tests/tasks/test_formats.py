"""Which format a model gets: the user's choice, families of one's own, other users' apart."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from webui.engine.tokenizer import Tokenizer
from webui.models import Catalog, ModelSpec
from webui.prompts import ChoiceReason, UnknownFamilyError, builtin_families, save_family
from webui.storage import Storage
from webui.tasks.formats import Formats, known_variables

TEMPLATE = "Mine: {{ messages[-1]['content'] }}"
ASKED = [{"role": "user", "content": "U"}]


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = Storage(tmp_path / "k.db")
    yield storage
    storage.close()


@pytest.fixture
def spec(standin: Path, tmp_path: Path) -> ModelSpec:
    return Catalog(tmp_path, standin.parent).get("standin")


def test_the_users_choice_counts_for_that_user_only(
    storage: Storage, spec: ModelSpec, standin: Path, tmp_path: Path
) -> None:
    formats, tokenizer = Formats(storage, tmp_path / "families"), Tokenizer(standin)
    assert formats.choice(spec, tokenizer, "local").reason is ChoiceReason.GGUF
    formats.choose("local", spec.id, "vicuna")
    assert formats.choice(spec, tokenizer, "local").family == "vicuna"
    assert formats.choice(replace(spec, family="gemma3"), tokenizer, "local").family == "vicuna"
    assert formats.choice(spec, tokenizer, "hanako").reason is ChoiceReason.GGUF
    formats.choose("local", spec.id, "")
    assert formats.choice(spec, tokenizer, "local").reason is ChoiceReason.GGUF
    with pytest.raises(UnknownFamilyError):
        formats.choice(replace(spec, family="nowhere"), tokenizer, "local")


def test_an_own_family_is_its_owners_and_follows_changes(
    storage: Storage, spec: ModelSpec, standin: Path, tmp_path: Path
) -> None:
    formats, tokenizer = Formats(storage, tmp_path / "families"), Tokenizer(standin)
    like = builtin_families()["vicuna"].format
    save_family(formats.folder("hanako"), "mine", TEMPLATE, like=like)
    for owner in ("local", "hanako"):
        formats.choose(owner, spec.id, "mine")
    hers = formats.choice(spec, tokenizer, "hanako")
    assert hers.format.render(ASKED).text == "Mine: U" and hers.family == "mine"
    others = formats.choice(spec, tokenizer, "local")
    assert others.reason is ChoiceReason.GGUF
    assert others.warning and others.warning.key == "inspector.family_gone"
    assert formats.own_names("local") == [] and formats.own_names("hanako") == ["mine"]
    save_family(formats.folder("hanako"), "mine", TEMPLATE + "!", like=like)
    assert formats.choice(spec, tokenizer, "hanako").format.render(ASKED).text == "Mine: U!"


def test_values_of_another_models_format_are_left_out() -> None:
    karakuri = builtin_families()["karakuri-70b"].format
    given = {"humor": 3, "unknown": 1}
    assert known_variables(karakuri, given) == {"humor": 3}
    assert known_variables(builtin_families()["gemma3"].format, given) == {}
    assert known_variables(karakuri, "nonsense") == {}
