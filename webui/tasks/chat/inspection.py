"""Inspection: exactly what a model will read, token by token, and the template doctor's findings.

Knows prompts and vocabularies; knows nothing about pages or how findings are shown.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from webui.engine.specials import Ranges
from webui.engine.tokenizer import Tokenizer
from webui.errors import AppError
from webui.prompts import (
    BosRule,
    Choice,
    ChoiceReason,
    ModelFacts,
    PromptFormat,
    RenderedPrompt,
    TemplateError,
    gguf_format,
)

PROBE = [
    {"role": "system", "content": "kajogaki-s"},
    {"role": "user", "content": "kajogaki-u"},
    {"role": "assistant", "content": "kajogaki-a"},
    {"role": "user", "content": "kajogaki-v"},
]
MARK = re.compile(r"<\|[^<>\s]{1,40}>|<[a-z_]{1,40}\|?>")  # but not Llama 2's <<SYS>>
CONTEXT_CHARS = 40  # of a difference, on each side


class Kind(StrEnum):
    """Where a token of the prompt came from."""

    SPECIAL = "special"
    TEMPLATE = "template"
    MESSAGE = "message"


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class PromptToken:
    id: int
    text: str
    kind: Kind
    start: int = 0  # characters [start, end) of the prompt; a part of a character counts as it
    end: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """What the doctor says: a sentence with what to do about it."""

    level: Level
    sentence: AppError


@dataclass(frozen=True, slots=True)
class Inspection:
    prompt: RenderedPrompt
    tokens: tuple[PromptToken, ...]
    findings: tuple[Finding, ...]

    @property
    def token_ids(self) -> tuple[int, ...]:
        return tuple(token.id for token in self.tokens)

    @property
    def num_tokens(self) -> Mapping[Kind, int]:
        """Tokens by where they came from."""
        kinds = [token.kind for token in self.tokens]
        return {kind: kinds.count(kind) for kind in Kind}


def inspect(
    choice: Choice, tokenizer: Tokenizer, prompt: RenderedPrompt, model: ModelFacts
) -> Inspection:
    """The tokens of `prompt` and what there is to know about `choice` for this model."""
    return Inspection(
        prompt, tuple(tokens_of(prompt, tokenizer)), tuple(diagnose(choice, tokenizer, model))
    )


def tokens_of(prompt: RenderedPrompt, tokenizer: Tokenizer) -> Iterator[PromptToken]:
    """Each token of the prompt and where it came from; a token of both counts as a message's."""
    born = Ranges(prompt.message_spans)
    text = prompt.text.encode("utf-8", "replace")
    char_of = [i for i, char in enumerate(prompt.text) for _ in char.encode("utf-8", "replace")]
    position = 0
    for token_id in tokenizer.encode(prompt):
        start, end = _place(tokenizer.bytes_of(token_id), text, position)
        kind = Kind.TEMPLATE
        if tokenizer.is_special(token_id):
            kind = Kind.SPECIAL
        elif end > start and born.touch(char_of[start], char_of[end - 1] + 1):
            kind = Kind.MESSAGE
        position = end
        first = char_of[start] if start < len(char_of) else len(prompt.text)
        last = char_of[end - 1] + 1 if end > start else first
        yield PromptToken(token_id, tokenizer.text_of([token_id]), kind, first, last)


def _place(data: bytes, text: bytes, position: int) -> tuple[int, int]:
    """Where a token stands in the text, after `position`.

    An added BOS stands nowhere; SentencePiece adds spaces to the text; some special tokens eat
    the white space behind them.
    """
    if data and text.startswith(data, position):
        return position, position + len(data)
    if data.startswith(b" ") and text.startswith(data[1:], position):
        return position, position + len(data) - 1
    behind = position
    while text[behind : behind + 1].isspace():
        behind += 1
    if data and text.startswith(data, behind):
        return behind, behind + len(data)
    return position, position


def diagnose(choice: Choice, tokenizer: Tokenizer, model: ModelFacts) -> Iterator[Finding]:
    """The template doctor."""
    form = choice.format
    if choice.warning:
        yield Finding(Level.WARNING, choice.warning)
    probe = form.render(PROBE)
    yield _bos(form, probe, tokenizer)
    yield from _unknown_marks(choice, probe, tokenizer)
    yield _end(form, tokenizer)
    yield _leak(form, tokenizer)
    yield from _lost_messages(form, probe)
    if choice.family and model.chat_template.strip():
        yield _difference(probe, model)


def _bos(form: PromptFormat, probe: RenderedPrompt, tokenizer: Tokenizer) -> Finding:
    ids = tokenizer.encode(probe)
    has_bos = bool(ids) and ids[0] == tokenizer.bos_id
    if form.bos is BosRule.NEVER and tokenizer.add_bos:
        return Finding(Level.NOTE, AppError("doctor.bos_left_out", bos=tokenizer.bos_text))
    if form.bos_text and tokenizer.bos_text != form.bos_text:
        values = {"wanted": form.bos_text, "found": tokenizer.bos_text or "-"}
        return Finding(Level.WARNING, AppError("doctor.bos_differs", **values))
    if form.bos_text and not has_bos:
        return Finding(Level.WARNING, AppError("doctor.bos_missing", bos=form.bos_text))
    key = "doctor.bos_once" if has_bos else "doctor.bos_none"
    return Finding(Level.OK, AppError(key, bos=tokenizer.bos_text or "-"))


def _unknown_marks(
    choice: Choice, probe: RenderedPrompt, tokenizer: Tokenizer
) -> Iterator[Finding]:
    """What the template writes like a token, but this vocabulary spells in letters.

    Some models were trained so; where nobody named this family for the model, it is the sign of
    a wrong one.
    """
    ranges = Ranges(probe.message_spans).gaps(len(probe.text))
    marks = {mark for start, end in ranges for mark in MARK.findall(probe.text[start:end])}
    unknown = sorted(m for m in marks - set(probe.tokens) if tokenizer.special_id(m) is None)
    is_known = choice.reason in (ChoiceReason.NAME, ChoiceReason.CATALOGUE)
    if unknown:
        level = Level.NOTE if is_known else Level.WARNING
        yield Finding(level, AppError("doctor.unknown_marks", marks=" ".join(unknown)))


def _end(form: PromptFormat, tokenizer: Tokenizer) -> Finding:
    spelled = [stop for stop in form.stops if tokenizer.special_id(stop) is None]
    if not tokenizer.end_texts and not form.stops:
        return Finding(Level.WARNING, AppError("doctor.no_end"))
    ends = " ".join(dict.fromkeys([*tokenizer.end_texts, *form.stops]))
    if spelled and len(spelled) == len(form.stops) and not tokenizer.end_texts:
        return Finding(Level.NOTE, AppError("doctor.end_by_text", stops=ends))
    return Finding(Level.OK, AppError("doctor.ends", stops=ends))


def _leak(form: PromptFormat, tokenizer: Tokenizer) -> Finding:
    """Whether messages that hold every special token of the vocabulary add one to the prompt."""
    texts = [token.text for token in tokenizer.specials if token.is_guarded]
    content = "x" + " ".join(texts[:2000]) + "x"
    hostile = [{**message, "content": content} for message in PROBE]
    harmless = [{**message, "content": "x"} for message in PROBE]
    counts = [
        sum(map(tokenizer.is_special, tokenizer.encode(form.render(messages))))
        for messages in (hostile, harmless)
    ]
    if counts[0] == counts[1]:
        return Finding(Level.OK, AppError("doctor.no_leak", num_specials=len(texts)))
    return Finding(Level.WARNING, AppError("doctor.leak"))


def _lost_messages(form: PromptFormat, probe: RenderedPrompt) -> Iterator[Finding]:
    lost = [message["role"] for message in PROBE if message["content"] not in probe.text]
    if lost and not form.is_completion:
        yield Finding(Level.WARNING, AppError("doctor.lost", roles=", ".join(dict.fromkeys(lost))))


def _difference(probe: RenderedPrompt, model: ModelFacts) -> Finding:
    """How the chosen family differs from the template in the model's file."""
    try:
        own = gguf_format(model).render(PROBE).text
    except TemplateError as error:
        return Finding(Level.NOTE, error)
    ours = probe.text.removeprefix(model.bos_token)
    own = own.removeprefix(model.bos_token)
    if ours == own:
        return Finding(Level.OK, AppError("doctor.same_as_file"))
    at = next((i for i, (a, b) in enumerate(zip(ours, own, strict=False)) if a != b), len(ours))
    start = max(0, at - CONTEXT_CHARS)
    values = {"ours": ours[start : at + CONTEXT_CHARS], "own": own[start : at + CONTEXT_CHARS]}
    return Finding(Level.NOTE, AppError("doctor.differs_from_file", **values))
