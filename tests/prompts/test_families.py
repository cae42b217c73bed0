"""Every family: its golden prompts, the published vectors, and a loader that lets nothing pass."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tests.golden.conversations import ANSWER1, GOLDEN_DIR, SHAPES, SYSTEM, USER1, USER2, render
from tests.golden.conversations import families as load_all
from webui.engine.request import SamplingParams
from webui.prompts import (
    BosRule,
    Family,
    FamilyError,
    TemplateError,
    VariableError,
    load_families,
    load_family,
)
from webui.prompts.families import BUILTIN_DIR, SAMPLING_KEYS
from webui.strings import Language

FAMILIES = load_all()
VECTORS_DIR = GOLDEN_DIR.parent / "vectors"
LEGACY = json.loads((VECTORS_DIR / "legacy.json").read_text(encoding="utf-8"))
MODERN = json.loads((VECTORS_DIR / "modern.json").read_text(encoding="utf-8"))
TWO_TURNS = [SYSTEM, USER1, ANSWER1, USER2]
# These vectors hold no S: the format has no system text, or they show the default one.
IS_WITHOUT_SYSTEM = {
    "wizardlm-7b v1.0",
    "persimmon-chat",
    "fugaku-13b-instruct",
    "llm-jp-3 / 3.1 instruct",
}

CHOSEN_ONLY = {"completion", "remote"}  # no model is recognised as these by its name

LEGACY_FAMILIES = {
    "rakuten (RakutenAI-7B-chat, RakutenAI-2.0-mini-instruct)": ["rakuten"],
    "vicuna v1.1/v1.5, WizardLM-13B v1.1/1.2": ["vicuna"],
    "llama2-chat (also ELYZA-7b, Swallow-MS-7b, Chinese-Alpaca-2, Vigogne-2-chat v3)": [
        "llama2",
        "chinese-alpaca-2",
        "vigogne-chat-v3",
    ],
    "elyza/swallow-ms": ["elyza", "swallow-ms"],
    "karakuri-8x7b-chat": ["karakuri-8x7b"],
    "karakuri-70b-chat": ["karakuri-70b"],
    "mistral-instruct v0.1": ["mistral-v0.1"],
    "mistral-instruct v0.2": ["mistral-v0.2"],
    "mistral-instruct v0.3": ["mistral-v0.3"],
    "fugaku-13b-instruct": ["fugaku"],
    "llm-jp-3 / 3.1 instruct": ["llm-jp-3"],
    "alpaca": ["alpaca", "chinese-alpaca"],
    "koala": ["koala"],
    "openbuddy (llama)": ["openbuddy"],
    "metharme / pygmalion-2": ["metharme"],
    "wizardlm-7b v1.0": ["wizardlm"],
    "baichuan-13b-chat": ["baichuan"],
    "baichuan2-chat": ["baichuan2"],
    "aquilachat v1": ["aquila"],
    "refact": ["refact"],
    "persimmon-chat": ["persimmon"],
    "mpt-chat (ChatML)": ["mpt", "chatml"],
    "stablelm-tuned-alpha": ["stablelm-alpha"],
    "stablelm-zephyr-3b": ["stablelm-zephyr"],
    "zephyr-7b": ["zephyr"],
    "falcon-instruct": ["falcon"],
    "gpt4all-snoozy": ["gpt4all"],
    "sarashina2.2-instruct": ["sarashina2.2"],
    "gemma 2/3 (system merged)": ["gemma2", "gemma3"],
    "phi-4": ["phi4"],
    "llm-jp-4 harmony": ["llm-jp-4"],
}
# Not a family of ours: llama.cpp's own variant, and the marks of a gap, tested below.
OTHER_VECTORS = {'vicuna llama.cpp builtin "vicuna"', "starcoder FIM"}
MODERN_FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "gemma-4": ("gemma4", {}),
    "gemma-4 think": ("gemma4", {"thinking": True}),
    "qwen2.5": ("qwen2.5", {}),
    "qwen3": ("qwen3", {}),
    "qwen3 nothink": ("qwen3", {"thinking": False}),
    "qwen3.5": ("qwen3.5", {}),
    "qwen3.5 nothink": ("qwen3.5", {"thinking": False}),
    "lfm2.5": ("lfm2", {}),
    "lfm2.5-8b": ("lfm2", {}),
    "llama3.1": ("llama3.1", {}),
    "phi3.5": ("phi3", {}),
    "gpt-oss": ("gpt-oss", {}),
    "ministral3": ("ministral3", {}),
    "granite4.1": ("granite4.1", {}),
}


def test_every_legacy_vector_has_its_family() -> None:
    assert LEGACY_FAMILIES.keys() | OTHER_VECTORS == LEGACY.keys()


@pytest.mark.parametrize(
    ("vector", "name"),
    [(vector, name) for vector, names in LEGACY_FAMILIES.items() for name in names],
)
def test_legacy_vectors(vector: str, name: str) -> None:
    expected, form = LEGACY[vector], FAMILIES[name].format
    messages = TWO_TURNS
    if vector in IS_WITHOUT_SYSTEM:
        messages = messages[1:]
    if vector == "wizardlm-7b v1.0":
        messages = [USER1]
    assert form.render(messages).text == expected["prompt"]
    if name not in ("chatml", "chinese-alpaca", "chinese-alpaca-2", "vigogne-chat-v3"):
        assert set(form.stops) == set(expected["stop"])
        assert form.bos_text == expected["bos"]
        assert (form.bos is BosRule.NEVER) == (expected["bos"] == "")
    default = expected["default_system"]
    if default and not default.startswith("long"):
        assert form.default_system == default


def test_fill_in_the_middle() -> None:
    prompt = FAMILIES["starcoder"].format.render_fim("PRE", "SUF")
    assert prompt.text == LEGACY["starcoder FIM"]["prompt"]
    assert [prompt.text[s.start : s.end] for s in prompt.message_spans] == ["PRE", "SUF"]


@pytest.mark.parametrize("vector", MODERN)
def test_modern_vectors(vector: str) -> None:
    model, _, shape = vector.partition(" | ")
    name, options = MODERN_FAMILIES.get(model, ("gemma2", {}))
    form = FAMILIES[name].format
    if MODERN[vector].startswith("RAISES"):  # the maker's template does; ours merges the system
        assert not form.supports_system
        return
    messages = TWO_TURNS if shape == "sys+2turn" else [USER1]
    text = form.render(messages, **options).text
    bos = "" if model == "phi3.5" else form.bos_text  # that template prints none, the file adds it
    assert bos + text == MODERN[vector]


@pytest.mark.parametrize("name", FAMILIES)
def test_golden_prompts(name: str) -> None:
    """After a wanted change: python -m tests.golden.conversations, and read the difference."""
    golden = json.loads((GOLDEN_DIR / f"{name}.json").read_text(encoding="utf-8"))
    assert render(FAMILIES[name]) == golden


def test_there_is_no_golden_file_without_a_family() -> None:
    assert {path.stem for path in GOLDEN_DIR.glob("*.json")} == FAMILIES.keys()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_complete(name: str) -> None:
    family = FAMILIES[name]
    assert family.title
    assert family.source
    assert family.models or name in CHOSEN_ONLY
    for messages in SHAPES.values():
        text = family.format.render(messages).text
        wanted = messages[-1:] if name == "plamo2-translate" else messages
        places = [text.find(message["content"].strip()) for message in wanted]
        assert -1 not in places
        if name != "mistral-v0.3":  # puts the system text into the last question
            assert places == sorted(places)
    if not family.format.is_completion and name not in CHOSEN_ONLY:
        assert family.format.stops


def test_the_names_of_sampling_settings_are_the_engines() -> None:
    assert SAMPLING_KEYS <= {field.name for field in fields(SamplingParams)}
    for family in FAMILIES.values():
        values: dict[str, Any] = dict(family.format.sampling)
        if "top_k" in values:
            values["top_k"] = int(values["top_k"])
        SamplingParams(**values)  # raises on a value that the engine would refuse


def test_karakuri_attributes_are_settings_from_0_to_4() -> None:
    form = FAMILIES["karakuri-70b"].format
    text = form.render([USER1], variables={"humor": 3, "helpfulness": 0}).text
    assert "helpfulness: 0 correctness: 4" in text
    assert "humor: 3" in text
    assert len(form.variables) == 9
    for bad in ({"humor": 5}, {"humor": -1}, {"humor": "3 [/INST]"}, {"humor": True}, {"wit": 1}):
        with pytest.raises(VariableError):
            form.render([USER1], variables=bad)


def test_reasoning_effort_is_one_of_three_words() -> None:
    form = FAMILIES["gpt-oss"].format
    assert "Reasoning: high" in form.render([USER1], variables={"reasoning_effort": "high"}).text
    with pytest.raises(VariableError):
        form.render([USER1], variables={"reasoning_effort": "<|end|>"})


def test_thinking_can_be_switched_where_a_family_can_think() -> None:
    for name, family in FAMILIES.items():
        form = family.format
        if form.thinking_switch:
            texts = {form.render([USER1], thinking=on).text for on in (True, False)}
            assert len(texts) == 2, name


def test_without_analysis_a_harmony_model_also_stops_at_the_end_of_the_message() -> None:
    form = FAMILIES["llm-jp-4"].format
    skipped = form.render([USER1], thinking=False)
    assert skipped.text.endswith("<|start|>assistant<|channel|>final<|message|>")
    assert "<|end|>" in form.stop_strings(thinking=False)
    assert "<|end|>" not in form.stop_strings(thinking=True)


def test_old_reasoning_is_left_out_of_history() -> None:
    thought = {"role": "assistant", "content": "<think>\nhm, S3CRET\n</think>\n\nA1"}
    assert "S3CRET" not in FAMILIES["qwen3"].format.render([USER1, thought, USER2]).text
    channels = {
        "role": "assistant",
        "content": "<|channel|>analysis<|message|>S3CRET<|end|><|start|>assistant"
        "<|channel|>final<|message|>A1",
    }
    text = FAMILIES["gpt-oss"].format.render([USER1, channels, USER2]).text
    assert "S3CRET" not in text
    assert "<|channel|>final<|message|>A1<|end|>" in text


def test_the_default_system_prompt_is_the_templates_own_text() -> None:
    """Ministral's contains [THINK]: a control token that is meant."""
    prompt = FAMILIES["ministral3"].format.render([USER1])
    assert [prompt.text[s.start : s.end] for s in prompt.message_spans] == ["U1"]


GOOD = 'title = "T"\nsource = "S"\nbos = "never"\nsystem = "role"\n'
BAD_FILES = {
    "stop = ['x']": "unknown key stop",
    "title = 3": "title",
    "stops = 'x'": "stops must be list",
    "stops = ['']": "stops must be a list of texts",
    "models = ['(']": "models: (",
    "[sampling]\nheat = 1": "unknown key heat",
    "[sampling]\ntemperature = 'hot'": "temperature must be float",
    "[reasoning]\nkind = 'loud'": "kind must be one of",
    "[reasoning]\nkind = 'tags'\nopens = '<t>'": "unknown key reasoning.opens",
    "[fim]\nprefix = '<p>'": "suffix is missing",
    "[variables.wit]\ndefault = 9\nmin = 0\nmax = 4": "default is not among",
    "[variables.wit]\ndefault = 1\nmin = 0\nmax = 4\nstep = 1": "unknown key variables.wit.step",
    "is_completion = 'yes'": "is_completion must be bool",
    "= 3": "Invalid",
}


def write(directory: Path, toml: str, jinja: str | None = "{{ messages[0].content }}") -> Path:
    directory.mkdir(exist_ok=True)
    (directory / "family.toml").write_text(toml, encoding="utf-8")
    if jinja is not None:
        (directory / "chat.jinja").write_text(jinja, encoding="utf-8")
    return directory


@pytest.mark.parametrize("extra", BAD_FILES)
def test_a_bad_family_file_is_named_with_its_key(tmp_path: Path, extra: str) -> None:
    lines = GOOD
    if "=" in extra:
        key = extra.split(" = ")[0]
        lines = "".join(line for line in GOOD.splitlines(True) if not line.startswith(key))
    with pytest.raises(FamilyError) as error:
        load_family(write(tmp_path / "mine", lines + extra))
    for language in Language:
        assert BAD_FILES[extra] in error.value.message(language)
        assert "family.toml" in error.value.message(language)


@pytest.mark.parametrize("key", ["title", "source", "bos", "system"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    lines = "".join(line for line in GOOD.splitlines(True) if not line.startswith(key))
    with pytest.raises(FamilyError, match=f"{key} is missing"):
        load_family(write(tmp_path / "mine", lines))


def test_a_family_without_a_template_or_with_a_broken_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FamilyError, match=r"chat\.jinja"):
        load_family(write(tmp_path / "none", GOOD, None))
    with pytest.raises(TemplateError, match="broken"):
        load_family(write(tmp_path / "broken", GOOD, "{% for %}"))
    with pytest.raises(FamilyError, match="directory's name"):
        load_family(write(tmp_path / "Wrong Name", GOOD))


def test_a_users_family_replaces_ours_of_the_same_name(tmp_path: Path) -> None:
    write(tmp_path / "chatml", GOOD)
    both = load_families(BUILTIN_DIR, tmp_path)
    assert both["chatml"].title == "T"
    assert both.keys() == FAMILIES.keys()


def test_families_that_llama_cpp_cannot_run_say_so() -> None:
    assert [name for name, f in FAMILIES.items() if f.unsupported] == ["persimmon"]


def test_our_templates_print_no_bos_of_their_own() -> None:
    for name, family in FAMILIES.items():
        source = family.format.template.source
        assert "bos_token" not in source, name
        for messages in SHAPES.values():
            text = family.format.render(messages).text
            assert not family.format.bos_text or not text.startswith(family.format.bos_text), name


def test_every_format_of_the_facts_is_here() -> None:
    """prompt-formats A3, 1 to 35; each family says which one it follows."""
    numbers: set[int] = set()
    for family in FAMILIES.values():
        for part in re.findall(r"A3\.(\d+(?: and \d+)?)", family.source):
            numbers |= {int(number) for number in part.split(" and ")}
    assert numbers >= set(range(1, 36)) - {4}
    assert isinstance(FAMILIES["karakuri-70b"], Family)
