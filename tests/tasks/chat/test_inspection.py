"""The inspector's tokens and the template doctor's findings, on real vocabularies."""

from pathlib import Path

import pytest
from gguf import TokenType
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.budget import examples
from tests.vocabularies import byte_pairs, sentencepiece
from webui.engine.tokenizer import Tokenizer
from webui.prompts import Choice, ModelFacts, builtin_families, choose_family
from webui.strings import Language
from webui.tasks.chat.inspection import Inspection, Kind, Level, inspect

FAMILIES = builtin_families()
CHATML = dict.fromkeys(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], TokenType.CONTROL)
QUESTION = [{"role": "system", "content": "短く"}, {"role": "user", "content": "<|im_end|> こん"}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vocabularies")


@pytest.fixture(scope="module")
def chatml(folder: Path) -> Tokenizer:
    return Tokenizer(byte_pairs(folder / "chatml.gguf", CHATML))


@pytest.fixture(scope="module")
def llama(folder: Path) -> Tokenizer:
    return Tokenizer(sentencepiece(folder / "llama.gguf", {"<|user|>": TokenType.CONTROL}))


def looked_at(tokenizer: Tokenizer, choice: Choice, model: ModelFacts | None = None) -> Inspection:
    prompt = choice.format.render(QUESTION)
    return inspect(choice, tokenizer, prompt, model or ModelFacts())


def findings(inspection: Inspection) -> dict[str, Level]:
    for finding in inspection.findings:
        assert all(finding.sentence.message(language) for language in Language)
    return {finding.sentence.key.split(".")[1]: finding.level for finding in inspection.findings}


def chosen(name: str) -> Choice:
    return choose_family(FAMILIES, ModelFacts(), user=name)


def test_every_token_is_shown_with_where_it_came_from(chatml: Tokenizer) -> None:
    inspection = looked_at(chatml, chosen("qwen3"))
    texts = {kind: "" for kind in Kind}
    for token in inspection.tokens:
        texts[token.kind] += chatml.bytes_of(token.id).decode("latin-1")
    text = {kind: value.encode("latin-1").decode() for kind, value in texts.items()}
    assert text[Kind.MESSAGE] == "短く<|im_end|> こん"
    assert text[Kind.TEMPLATE] == "system\n\nuser\n\nassistant\n"
    assert text[Kind.SPECIAL] == "<|im_start|><|im_end|>" * 2 + "<|im_start|>"
    assert inspection.token_ids == tuple(chatml.encode(inspection.prompt))
    assert sum(inspection.num_tokens.values()) == len(inspection.tokens)


@settings(deadline=None, max_examples=examples(50))
@given(content=st.text("a b\n</s>|こ", max_size=20))
def test_a_messages_tokens_are_its_own_with_added_spaces_too(
    llama: Tokenizer, content: str
) -> None:
    content = f"x{content}x"
    form = FAMILIES["sarashina2.2"].format
    prompt = form.render([{"role": "user", "content": content}])
    inspection = inspect(chosen("sarashina2.2"), llama, prompt, ModelFacts())
    said = b"".join(llama.bytes_of(t.id) for t in inspection.tokens if t.kind is Kind.MESSAGE)
    assert said.decode().replace(" ", "") == content.replace(" ", "")


def test_a_fitting_family_gets_a_clean_bill(chatml: Tokenizer) -> None:
    found = findings(looked_at(chatml, chosen("qwen3")))
    assert found == {"bos_none": Level.OK, "ends": Level.OK, "no_leak": Level.OK}


def test_a_family_of_another_model_is_noticed(llama: Tokenizer, chatml: Tokenizer) -> None:
    found = findings(looked_at(llama, chosen("chatml")))
    assert found["unknown_marks"] is Level.WARNING
    found = findings(looked_at(chatml, chosen("llama2")))
    assert found["bos_differs"] is Level.WARNING


def test_plain_letters_are_only_a_note_where_the_model_is_known(llama: Tokenizer) -> None:
    choice = choose_family(FAMILIES, ModelFacts(name="pygmalion-2-7b"))
    assert findings(looked_at(llama, choice))["unknown_marks"] is Level.NOTE


def test_a_bos_that_the_file_wrongly_wants_is_left_out_and_said(llama: Tokenizer) -> None:
    found = findings(looked_at(llama, chosen("fugaku")))
    assert found["bos_left_out"] is Level.NOTE


def test_a_bos_that_the_file_wrongly_leaves_out_is_noticed(folder: Path) -> None:
    tokenizer = Tokenizer(sentencepiece(folder / "none.gguf", add_bos=False))
    assert findings(looked_at(tokenizer, chosen("llama2")))["bos_missing"] is Level.WARNING


def test_a_file_that_names_a_bos_and_never_uses_it_is_right(folder: Path) -> None:
    """Qwen2.5's official files: <|endoftext|> is named, add_bos is off, the template prints none.

    The doctor asked to get them anew.
    """
    tokenizer = Tokenizer(byte_pairs(folder / "qwen.gguf", CHATML, bos="<|endoftext|>"))
    source = FAMILIES["qwen3-2507"].format.template.source
    model = ModelFacts("m", "", source, bos_token=tokenizer.bos_text)
    choice = choose_family(FAMILIES, model)
    assert choice.family == ""
    assert findings(looked_at(tokenizer, choice, model))["bos_none"] is Level.OK
    printing = ModelFacts("m", "", "{{ bos_token }}" + source, bos_token=tokenizer.bos_text)
    choice = choose_family(FAMILIES, printing)
    assert findings(looked_at(tokenizer, choice, printing))["bos_once"] is Level.OK


def test_the_difference_from_the_files_own_template_is_shown(chatml: Tokenizer) -> None:
    source = FAMILIES["qwen3-2507"].format.template.source
    same = ModelFacts("m", "", source)
    assert findings(looked_at(chatml, chosen("qwen3-2507"), same))["same_as_file"] is Level.OK
    other = ModelFacts("m", "", source.replace("assistant", "bot"))
    inspection = looked_at(chatml, chosen("qwen3-2507"), other)
    assert findings(inspection)["differs_from_file"] is Level.NOTE
    broken = ModelFacts("m", "", "{{ raise_exception('no') }}")
    assert Level.NOTE in findings(looked_at(chatml, chosen("qwen3"), broken)).values()


def test_the_warning_of_the_choice_comes_first(chatml: Tokenizer) -> None:
    choice = choose_family(FAMILIES, ModelFacts(name="mystery"))
    first = looked_at(chatml, choice).findings[0]
    assert (first.level, first.sentence) == (Level.WARNING, choice.warning)


def test_text_that_a_format_loses_is_noticed(chatml: Tokenizer) -> None:
    assert findings(looked_at(chatml, chosen("plamo2-translate")))["lost"] is Level.WARNING


@pytest.mark.parametrize("name", FAMILIES)
def test_the_doctor_sees_every_family(llama: Tokenizer, chatml: Tokenizer, name: str) -> None:
    for tokenizer in (llama, chatml):
        found = findings(looked_at(tokenizer, chosen(name)))
        assert found["no_leak"] is Level.OK
