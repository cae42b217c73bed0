"""Plan: what a summary will take, before it begins. Nothing of the text is left out of it.

Pure bookkeeping over token counts; knows no engine.
"""

import hashlib
import json
from dataclasses import dataclass, replace

from webui.errors import AppError
from webui.tasks.summarize.minutes import minutes_of
from webui.tasks.summarize.prompting import Prompting
from webui.tasks.summarize.settings import BulletLimits, Mode, Style, bullets_wanted, limits_of
from webui.tasks.summarize.source import EmptySourceError, Source
from webui.tasks.summarize.spans import KEY_CHARS, Span, spans_among, units_of
from webui.tasks.summarize.writer import TOKENS_PER_CHAR

CONTEXT_SHARE = 0.75  # of the KV cells; the rest is for whoever chats meanwhile
SPAN_TOKENS = 1200  # of the text of one call; shorter prompts are better and faster
MIN_TEXT_TOKENS = 60
GOOD_TEXT_TOKENS = 400  # less only where one call at a time has no more
MAX_PARALLEL = 7  # of eight slots: one is for whoever chats meanwhile
MAX_POINTS = 12  # that one bullet is made of
ASK_ABOVE_S = 60.0
USUAL_SHARE = 0.4  # of the longest bullet: what models write


class ContextTooSmallError(AppError):
    """The model's context has no room for a Span and its bullet."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What the engine has."""

    n_ctx: int
    n_slots: int


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast this model is on this machine, in tokens a second; `factor` corrects forecasts."""

    prefill: float
    decode: float
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """`spans`: one for each bullet; one that is too long for a call has others below it."""

    wanted: int  # more than there are Spans where the text does not bear so many bullets
    spans: tuple[Span, ...]
    parallel: int
    eta_s: float = 0.0

    @property
    def num_bullets(self) -> int:
        return len(self.spans)

    @property
    def num_tokens(self) -> int:
        return sum(span.num_tokens for span in self.spans)

    @property
    def stages(self) -> list[list[Span]]:
        """What is written one after another: Spans of text, then those that are made of them."""
        every = [span for top in self.spans for span in top.tree()]
        heights = range(max(span.height for span in every) + 1)
        return [[span for span in every if span.height == height] for height in heights]

    @property
    def sections(self) -> list[Span]:
        """The Spans whose text is read: together the whole."""
        return self.stages[0]

    @property
    def num_calls(self) -> int:
        return sum(map(len, self.stages))

    @property
    def needs_asking(self) -> bool:
        return self.eta_s > ASK_ABOVE_S


def make_plan(source: Source, prompting: Prompting, capacity: Capacity) -> Plan:
    """As many Spans as bullets are wanted, or as the text bears.

    Raises ContextTooSmallError, EmptySourceError.
    """
    limits = limits_of(prompting.settings)
    wanted = bullets_wanted(prompting.settings, len(source.text))
    beside = _overhead(prompting) + round(limits.max_chars * TOKENS_PER_CHAR)
    room = int(capacity.n_ctx * CONTEXT_SHARE)
    most = max(1, min(MAX_PARALLEL, capacity.n_slots - 1))
    text_tokens = _text_tokens(room, beside, most, capacity)
    num_points = int(text_tokens / (limits.max_chars * TOKENS_PER_CHAR))
    num_points = max(2, min(MAX_POINTS, num_points))
    units = units_of(source, text_tokens, prompting.count)

    def cut(count: int) -> list[Span]:
        return spans_among(source, units, count, text_tokens, num_points)

    if prompting.settings.style is Style.MINUTES:
        spans = minutes_of(source.text, units, prompting.settings, cut)
        wanted = prompting.settings.num_bullets or len(spans)
    else:
        spans = cut(wanted)
    if prompting.settings.mode is Mode.VERBATIM:
        spans = [span for span in spans if span.quotable(source.text)]
    if not spans:
        raise EmptySourceError("summary.no_sentences")
    plan = Plan(wanted, tuple(spans), 1)
    longest = max(span.num_tokens for span in plan.sections)
    return replace(plan, parallel=max(1, min(most, room // (longest + beside))))


def with_eta(plan: Plan, rates: Rates, limits: BulletLimits, mode: Mode) -> Plan:
    """The plan with its time at these rates."""
    per_bullet = limits.max_chars * USUAL_SHARE
    num_merges = plan.num_calls - len(plan.sections)
    num_read = plan.num_tokens + 120 * plan.num_calls + 3 * per_bullet * num_merges
    gain = min(2.3, 1 + 0.35 * (plan.parallel - 1))
    if mode is Mode.VERBATIM:  # a decided sentence goes through in one batch
        writing_s = plan.num_calls * (per_bullet / rates.prefill + 3 / rates.decode)
    else:
        writing_s = 1.4 * plan.num_calls * per_bullet / (rates.decode * gain)
    return replace(plan, eta_s=(num_read / rates.prefill + writing_s) * rates.factor)


def plan_key(source: Source, prompting: Prompting, plan: Plan, model_id: str) -> str:
    """Names everything that the parts depend on: equal keys may share finished parts."""
    layout = [[[span.start, span.end] for span in stage] for stage in plan.stages]
    everything = [
        *(source.digest, source.file_name, model_id, prompting.settings.values()),
        prompting.bullet("", "", "")[0],  # the wording, and the format that the user chose
        layout,
    ]
    return hashlib.sha256(json.dumps(everything).encode()).hexdigest()


def _overhead(prompting: Prompting) -> int:
    """Tokens of a prompt without its text, with the longest title and key."""
    title, key = "題" * 30, "鍵" * KEY_CHARS
    strong = (prompting.bullet("", title, key)[1], prompting.merging([], title, key)[1])
    return max(map(len, strong)) + 8


def _text_tokens(room: int, beside: int, most: int, capacity: Capacity) -> int:
    """Of one Span, so that as many calls as possible fit at a time.

    Raises ContextTooSmallError.
    """
    for num in range(most, 0, -1):
        left = min(room // num - beside, SPAN_TOKENS)
        if left >= (MIN_TEXT_TOKENS if num == 1 else GOOD_TEXT_TOKENS):
            return left
    raise ContextTooSmallError("summary.context_too_small", n_ctx=capacity.n_ctx)
