"""Which format a model gets: the order of the voices, recognition by name, templates that lie."""

import pytest

from webui.prompts import (
    ChoiceReason,
    ModelFacts,
    ReasoningKind,
    UnknownFamilyError,
    builtin_families,
    choose_family,
)
from webui.strings import Language

FAMILIES = builtin_families()
CHATML = FAMILIES["chatml"].format.template.source
LLAMA2 = "{% for m in messages %}{{ '[INST] ' ~ m.content ~ ' [/INST]' }}{% endfor %}"
QUESTION = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]


def facts(name: str = "", template: str = "", architecture: str = "") -> ModelFacts:
    return ModelFacts(name, architecture, template, "<s>", "</s>")


def test_the_catalogues_word_comes_before_the_users_and_both_before_the_file() -> None:
    model = facts("vicuna-13b", CHATML)
    choice = choose_family(FAMILIES, model, explicit="alpaca", user="koala")
    assert (choice.family, choice.reason) == ("alpaca", ChoiceReason.CATALOGUE)
    choice = choose_family(FAMILIES, model, user="koala")
    assert (choice.family, choice.reason) == ("koala", ChoiceReason.USER)
    assert choice.warning is None


def test_a_files_own_template_is_used() -> None:
    choice = choose_family(FAMILIES, facts("some-model", CHATML))
    assert (choice.family, choice.reason, choice.warning) == ("", ChoiceReason.GGUF, None)
    assert choice.format.render(QUESTION).text == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
    )


NAMES = {
    "RakutenAI-7B-chat": "rakuten",
    "RakutenAI 2.0 mini instruct": "rakuten",
    "vicuna-13b-v1.5": "vicuna",
    "WizardLM-13B-V1.2": "vicuna",
    "WizardLM-7B-V1.0": "wizardlm",
    "karakuri-lm-8x7b-chat-v0.1": "karakuri-8x7b",
    "karakuri-lm-70b-chat-v0.1": "karakuri-70b",
    "gemma-2-2b-jpn-it": "gemma2",
    "gemma-3-4b-it": "gemma3",
    "gemma-4-12b-it": "gemma4",
    "Mistral-7B-v0.1": "mistral-base",
    "Mistral-7B-Instruct-v0.1": "mistral-v0.1",
    "Mistral-7B-Instruct-v0.2": "mistral-v0.2",
    "Mistral-7B-Instruct-v0.3": "mistral-v0.3",
    "Ministral-3-8B-Instruct-2512": "ministral3",
    "Llama-2-7b-chat-hf": "llama2",
    "Fugaku-LLM-13B-instruct": "fugaku",
    "ELYZA-japanese-Llama-2-7b-instruct": "elyza",
    "Llama-3-ELYZA-JP-8B": "elyza-llama3",
    "Swallow-MS-7b-instruct-v0.1": "swallow-ms",
    "Llama-3.1-Swallow-8B-Instruct-v0.3": "swallow-llama3",
    "Meta-Llama-3-8B-Instruct": "llama3",
    "Llama-3.3-70B-Instruct": "llama3.1",
    "chinese-alpaca-2-7b": "chinese-alpaca-2",
    "chinese-alpaca-plus-7b": "chinese-alpaca",
    "chinese-llama-7b": "chinese-llama",
    "alpaca-7b": "alpaca",
    "GPT4All-13B-snoozy": "gpt4all",
    "vigogne-7b-instruct": "vigogne",
    "vigogne-2-7b-chat": "vigogne-chat-v3",
    "vigogne-7b-chat": "vigogne-chat-v2",
    "koala-7B": "koala",
    "openbuddy-llama-7b": "openbuddy",
    "pygmalion-2-7b": "metharme",
    "Baichuan-13B-Chat": "baichuan",
    "Baichuan2-7B-Chat": "baichuan2",
    "AquilaChat-7B": "aquila",
    "AquilaChat2-7B": "aquila2-7b",
    "AquilaChat2-34B": "aquila2-34b",
    "AquilaChat2-34B-16K": "aquila2-34b-16k",
    "starcoder2-3b": "starcoder",
    "Refact-1_6B-fim": "refact",
    "persimmon-8b-chat": "persimmon",
    "mpt-7b-chat": "mpt",
    "bloomz-7b1": "bloom",
    "stablelm-tuned-alpha-7b": "stablelm-alpha",
    "stablelm-zephyr-3b": "stablelm-zephyr",
    "zephyr-7b-beta": "zephyr",
    "stablelm-3b-4e1t": "stablelm-base",
    "falcon-7b-instruct": "falcon",
    "falcon-180B-chat": "falcon-180b",
    "Falcon3-7B-Instruct": "falcon3",
    "Qwen2.5-7B-Instruct": "qwen2.5",
    "TinySwallow-1.5B-Instruct": "qwen2.5",
    "Qwen3-8B": "qwen3",
    "Qwen3-4B-Instruct-2507": "qwen3-2507",
    "Qwen3.5-9B": "qwen3.5",
    "Qwen3-Swallow-8B": "qwen3",
    "LFM2.5-1.2B-JP": "lfm2",
    "Phi-3.5-mini-instruct": "phi3",
    "phi-4": "phi4",
    "Phi-4-mini-instruct": "phi4-mini",
    "llm-jp-3-3.7b-instruct": "llm-jp-3",
    "llm-jp-3.1-1.8b-instruct4": "llm-jp-3",
    "llm-jp-4-8b-instruct": "llm-jp-4",
    "gpt-oss-20b": "gpt-oss",
    "sarashina2.2-3b-instruct-v0.1": "sarashina2.2",
    "plamo-2-translate": "plamo2-translate",
    "plamo-2.1-8b": "plamo",
    "granite-4.1-8b": "granite4.1",
    "granite-4.2-3b": "granite4.2",
}


@pytest.mark.parametrize("name", NAMES)
def test_models_without_a_template_are_known_by_name(name: str) -> None:
    choice = choose_family(FAMILIES, facts(name))
    assert choice.family == NAMES[name]
    assert choice.reason is ChoiceReason.NAME


def test_an_architecture_speaks_when_the_name_does_not() -> None:
    assert choose_family(FAMILIES, facts("model", architecture="gemma4")).family == "gemma4"
    assert choose_family(FAMILIES, facts("model", architecture="persimmon")).family == "persimmon"


def test_nothing_known_is_completion_with_a_warning_and_never_llama_2() -> None:
    choice = choose_family(FAMILIES, facts("mystery-7b", architecture="llama"))
    assert (choice.family, choice.reason) == ("completion", ChoiceReason.NOTHING)
    assert choice.format.is_completion
    assert choice.format.render([{"role": "user", "content": "U"}]).text == "U"
    assert choice.warning
    assert all("mystery-7b" in choice.warning.message(language) for language in Language)


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("RakutenAI-7B-chat", LLAMA2),
        ("vicuna-13b-v1.5", "{% for m in messages %}### Human: {{ m.content }}\n{% endfor %}"),
        ("karakuri-lm-70b-chat-v0.1", LLAMA2),
        ("Fugaku-LLM-13B-instruct", CHATML),
        ("llm-jp-3-3.7b-instruct", CHATML),
    ],
)
def test_a_template_that_is_wrong_for_its_model_is_overridden(name: str, template: str) -> None:
    choice = choose_family(FAMILIES, facts(name, template))
    assert choice.family == NAMES[name]
    assert choice.warning
    assert choice.warning.key == "prompts.template_overridden"
    assert all(FAMILIES[choice.family].title in choice.warning.message(lang) for lang in Language)


def test_a_template_that_begins_the_text_twice_is_overridden() -> None:
    """Llama 3.x Swallow's prints BOS again before the first question."""
    twice = (
        "{{ bos_token }}{% for m in messages %}{{ bos_token if loop.index0 == 1 }}"
        "<|start_header_id|>{{ m.role }}<|end_header_id|>{{ m.content }}{% endfor %}"
    )
    choice = choose_family(FAMILIES, facts("Llama-3.1-Swallow-8B-Instruct", twice))
    assert choice.family == "swallow-llama3"


def test_the_right_template_of_a_known_model_is_kept() -> None:
    source = FAMILIES["rakuten"].format.template.source
    choice = choose_family(FAMILIES, facts("RakutenAI-2.0-mini-instruct", source))
    assert (choice.reason, choice.warning) == (ChoiceReason.GGUF, None)


@pytest.mark.parametrize(
    "template",
    ["{% for %}", "{{ raise_exception('never') }}", "no text of anybody", "{{ range(10**9) }}"],
)
def test_a_template_that_cannot_be_used_falls_back_and_says_so(template: str) -> None:
    choice = choose_family(FAMILIES, facts("Qwen3-8B", template))
    assert choice.family == "qwen3"
    assert choice.warning
    choice = choose_family(FAMILIES, facts("mystery", template))
    assert choice.family == "completion"
    assert choice.warning
    assert "mystery" in choice.warning.message()


@pytest.mark.parametrize(
    "refusal",
    ["{{ raise_exception('System role not supported') }}", "{# loses it without a word #}"],
)
def test_a_system_text_that_the_template_refuses_or_loses_goes_to_the_first_question(
    refusal: str,
) -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'system' %}" + refusal + "{% else %}"
        "<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}"
    )
    choice = choose_family(FAMILIES, facts("model", source))
    assert choice.format.render(QUESTION).text == "<user>S\n\nU"


@pytest.mark.parametrize(
    ("mark", "kind", "opens"),
    [
        ("<think>", ReasoningKind.TAGS, "<think>"),
        ("[THINK]", ReasoningKind.TAGS, "[THINK]"),
        ("<seed:think>", ReasoningKind.TAGS, "<seed:think>"),
        ("<|START_THINKING|>", ReasoningKind.TAGS, "<|START_THINKING|>"),
        ("<|channel>", ReasoningKind.TAGS, "<|channel>thought\n"),
        ("<|channel|>", ReasoningKind.CHANNELS, "<think>"),
        ("", ReasoningKind.NONE, "<think>"),
    ],
)
def test_a_files_template_tells_how_its_model_reasons(
    mark: str, kind: ReasoningKind, opens: str
) -> None:
    source = "{{ messages[-1].content }}{{ '" + mark + "' if enable_thinking }}"
    form = choose_family(FAMILIES, facts("model", source)).format
    assert (form.reasoning.kind, form.reasoning.open) == (kind, opens)
    if mark:
        assert form.render(QUESTION[1:], thinking=True).text == "U" + mark
        assert form.render(QUESTION[1:], thinking=False).text == "U"


def test_a_switch_called_thinking_is_found_too() -> None:
    """As in DeepSeek V3.1 and Granite 3.3."""
    source = (
        "{% if not thinking is defined %}{% set thinking = false %}{% endif %}"
        "{{ messages[-1].content }}{{ '<think>' if thinking }}"
    )
    form = choose_family(FAMILIES, facts("model", source)).format
    assert form.render(QUESTION[1:]).text == "U"
    assert form.render(QUESTION[1:], thinking=True).text == "U<think>"


def test_unknown_families_are_refused_by_name() -> None:
    with pytest.raises(UnknownFamilyError, match="llama-9"):
        choose_family(FAMILIES, facts(), user="llama-9")


def test_a_model_that_cannot_run_says_why() -> None:
    choice = choose_family(FAMILIES, facts("persimmon-8b-chat"))
    assert choice.warning
    assert "Persimmon" in choice.warning.message()


@pytest.mark.parametrize("name", ["granite4.2", "swallow-llama3"])
def test_a_format_that_rests_on_thin_sources_says_so(name: str) -> None:
    choice = choose_family(FAMILIES, facts("model"), user=name)
    assert choice.warning and choice.warning.key == "prompts.uncertain"
    assert choose_family(FAMILIES, facts("model"), user="vicuna").warning is None
