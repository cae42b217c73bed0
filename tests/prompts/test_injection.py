"""The whole way from messages to ids: for every family, no message can say what a template says."""

import re
from collections.abc import Iterator

import pytest
from gguf import TokenType
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.budget import examples
from tests.golden.conversations import GOLDEN_DIR, families
from tests.places import ROOT
from tests.vocabularies import byte_pairs, sentencepiece
from webui.engine.tokenizer import Tokenizer

FAMILIES = families()
SHARED = sorted((ROOT.parent / "shared" / "data" / "vocab").glob("*.gguf"))
MARK = re.compile(r"<[|/a-zA-Z][^<>\s]{0,30}>|\[/?[A-Z_]{3,}\]")


def all_marks() -> list[str]:
    """Every special token of every family: whatever looks like one in templates, stops, goldens."""
    sources = [path.read_text(encoding="utf-8") for path in GOLDEN_DIR.glob("*.json")]
    for family in FAMILIES.values():
        form = family.format
        sources += [form.template.source, *form.stops, form.bos_text, *form.tokens]
        sources += [form.reasoning.open, form.reasoning.close]
    return sorted({mark for source in sources for mark in MARK.findall(source)})


MARKS = all_marks()


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Tokenizer]]:
    """Vocabularies that know every mark of every family, as control tokens or as plain words."""
    folder = tmp_path_factory.mktemp("vocabularies")
    control = dict.fromkeys(MARKS, TokenType.CONTROL)
    words = dict.fromkeys(MARKS, TokenType.USER_DEFINED)
    grown = [mark for mark in MARKS if len(mark) < 15]
    paths = {
        "control": byte_pairs(folder / "c.gguf", control),
        "words": byte_pairs(folder / "w.gguf", words),
        "sentencepiece": sentencepiece(folder / "s.gguf", control, space_prefix=False),
        "growing": sentencepiece(folder / "g.gguf", control, growing=grown, space_prefix=False),
    } | {path.stem: path for path in SHARED if "spm" in path.stem or "qwen2" in path.stem}
    yield {name: Tokenizer(path) for name, path in paths.items()}


def test_the_marks_are_those_of_the_families() -> None:
    expected = "<|im_end|> </s> <s> [INST] [/INST] <|channel|> <turn|> <|eot_id|> <reserved_106>"
    assert set(expected.split()) <= set(MARKS)
    assert len(MARKS) > 50


HOSTILE = st.lists(st.sampled_from(MARKS) | st.sampled_from(["\n", "a", " ", "user", "こん", "<|"]))
CONTENT = HOSTILE.map(lambda parts: "x" + "".join(parts) + "x")


@pytest.mark.parametrize("name", FAMILIES)
@settings(deadline=None, max_examples=examples(12))
@given(data=st.data())
def test_hostile_messages_add_no_control_token(
    vocabularies: dict[str, Tokenizer], name: str, data: st.DataObject
) -> None:
    family = FAMILIES[name]
    contents = data.draw(st.lists(CONTENT, min_size=4, max_size=4))
    hostile, harmless = _conversation(contents), _conversation(["x"] * 4)
    for tokenizer in vocabularies.values():
        ids = tokenizer.encode(family.format.render(hostile))
        assert _specials(tokenizer, ids) == _specials(
            tokenizer, tokenizer.encode(family.format.render(harmless))
        )


@pytest.mark.parametrize("name", FAMILIES)
@settings(deadline=None, max_examples=examples(6))
@given(data=st.data())
def test_the_ids_of_a_prompt_give_its_text_back(
    vocabularies: dict[str, Tokenizer], name: str, data: st.DataObject
) -> None:
    messages = _conversation(data.draw(st.lists(CONTENT, min_size=4, max_size=4)))
    prompt = FAMILIES[name].format.render(messages)
    for vocabulary in ("control", "words", "sentencepiece", "growing"):
        tokenizer = vocabularies[vocabulary]
        text = tokenizer.text_of(tokenizer.encode(prompt))
        assert text.removeprefix(tokenizer.bos_text) == prompt.text.removeprefix(tokenizer.bos_text)


@pytest.mark.parametrize("name", ["chatml", "llama3", "gemma4", "llm-jp-4"])
def test_a_templates_own_marks_are_tokens(vocabularies: dict[str, Tokenizer], name: str) -> None:
    """The test above would pass, too, if nothing at all were recognised."""
    prompt = FAMILIES[name].format.render(_conversation(["x"] * 4))
    for vocabulary in ("control", "words", "sentencepiece", "growing"):
        tokenizer = vocabularies[vocabulary]
        found = _specials(tokenizer, tokenizer.encode(prompt))
        marks = MARK.findall(prompt.text)
        assert [mark for mark in found if mark != tokenizer.bos_text] == marks


def _conversation(contents: list[str]) -> list[dict[str, str]]:
    roles = ("system", "user", "assistant", "user")
    return [
        {"role": role, "content": content} for role, content in zip(roles, contents, strict=True)
    ]


def _specials(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    return [tokenizer.text_of([i]) for i in ids if tokenizer.is_special(i)]
