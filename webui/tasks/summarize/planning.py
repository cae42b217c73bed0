"""Plan: what a summary will take, before it begins. Nothing of the text is left out of it.

Pure bookkeeping over token counts; knows no engine.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from webui.errors import AppError
from webui.tasks.summarize.prompting import Prompting
from webui.tasks.summarize.sections import Section, sections_of
from webui.tasks.summarize.settings import (
    MAX_BULLETS,
    BulletLimits,
    Mode,
    bullets_wanted,
    limits_of,
)
from webui.tasks.summarize.source import EmptySourceError, Source
from webui.tasks.summarize.verbatim import candidates_in
from webui.tasks.summarize.writer import TOKENS_PER_CHAR, Writing

CONTEXT_SHARE = 0.75  # of the KV cells; the rest is for whoever chats meanwhile
CALL_TOKENS = 1400  # of one call, where the context has room for several
MAX_CALL_TOKENS = 4096
MAX_PARALLEL = 7  # of eight slots: one is for whoever chats meanwhile
MIN_TEXT_TOKENS = 120  # of a section
SURPLUS = 1.6  # points that sections give for each bullet that is wanted
ASK_ABOVE_S = 60.0
USUAL_SHARE = 0.55  # of the longest bullet: what models write


class ContextTooSmallError(AppError):
    """The model's context has no room for a section and its bullets."""


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
    num_tokens: int
    num_bullets: int
    wanted: int  # more than num_bullets where quoting finds too few sentences
    sections: tuple[Section, ...]
    counts: tuple[int, ...]  # bullets of each section
    num_merges: int
    call_tokens: int  # for prompt and bullets of one section
    merge_tokens: int  # for the points of one merging call
    parallel: int
    eta_s: float = 0.0

    @property
    def num_calls(self) -> int:
        return len(self.sections) + self.num_merges

    @property
    def needs_asking(self) -> bool:
        return self.eta_s > ASK_ABOVE_S


def make_plan(source: Source, prompting: Prompting, capacity: Capacity) -> Plan:
    """One pass when the text fits, else sections and rounds of merging.

    Raises ContextTooSmallError.
    """
    settings = prompting.settings
    limits = limits_of(settings)
    wanted = bullets_wanted(settings, len(source.text))
    overhead = _overhead(prompting)
    room = int(capacity.n_ctx * CONTEXT_SHARE)
    one_pass = room - overhead - reserve(MAX_BULLETS if wanted > 8 else wanted, limits)
    sections = sections_of(source, max(one_pass, 1), prompting.count) if one_pass > 0 else []
    parallel, call_tokens, merge_tokens = 1, room, max(1, one_pass)
    if len(sections) != 1:
        parallel, call_tokens, text_tokens = _split_room(room, overhead, capacity, limits)
        sections = sections_of(source, text_tokens, prompting.count)
    counts = _counts(source, sections, wanted, settings.mode)
    num_bullets = min(wanted, sum(counts)) if settings.mode is Mode.VERBATIM else wanted
    if num_bullets == 0:
        raise EmptySourceError("summary.no_sentences")
    counts = [num_bullets] if len(sections) == 1 else counts
    return Plan(
        sum(section.num_tokens for section in sections),
        num_bullets,
        wanted,
        tuple(sections),
        tuple(counts),
        _num_merges(sum(counts), num_bullets, merge_tokens, limits) if len(sections) > 1 else 0,
        call_tokens,
        merge_tokens,
        parallel,
    )


def with_eta(plan: Plan, rates: Rates, limits: BulletLimits, mode: Mode) -> Plan:
    """The plan with its time at these rates."""
    num_written = sum(plan.counts) + plan.num_bullets * plan.num_merges
    per_bullet = usual_tokens(limits)
    num_read = plan.num_tokens + (sum(plan.counts) * per_bullet if plan.num_merges else 0)
    num_read += 60 * plan.num_calls
    gain = min(2.3, 1 + 0.35 * (plan.parallel - 1))
    if mode is Mode.VERBATIM:  # a decided sentence goes through in one batch
        writing_s = num_written * (per_bullet / rates.prefill + 3 / rates.decode)
    else:
        writing_s = num_written * per_bullet / (rates.decode * gain)
    return replace(plan, eta_s=(num_read / rates.prefill + writing_s) * rates.factor)


def usual_tokens(limits: BulletLimits) -> float:
    return limits.max_chars * USUAL_SHARE * TOKENS_PER_CHAR * 0.7 + 3


def reserve(count: int, limits: BulletLimits) -> int:
    """Tokens to keep free for `count` bullets as they usually are, or one of the worst."""
    return Writing(((), ()), count, limits).max_tokens


def groups_of(points: Sequence[str], prompting: Prompting, plan: Plan) -> list[list[str]]:
    """Neighbouring points that are merged in one call."""
    sizes = [prompting.count(f"・{point}\n") for point in points]
    room = max(plan.merge_tokens, sum(sorted(sizes)[-3:]))
    groups: list[list[str]] = [[]]
    total = 0
    for point, size in zip(points, sizes, strict=True):
        if groups[-1] and total + size > room:
            groups.append([])
            total = 0
        groups[-1].append(point)
        total += size
    return groups


def merged_counts(sizes: Sequence[int], num_bullets: int) -> list[int]:
    """How many bullets each group of points becomes: fewer in all, but enough for the end."""
    num_points = sum(sizes)
    total = num_bullets
    if len(sizes) > 1 and num_points > num_bullets:
        total = max(num_bullets, min(math.ceil(SURPLUS * num_bullets), num_points * 6 // 10))
    borders = [round(total * part / num_points) for part in accumulate((0, *sizes))]
    return [after - before for before, after in pairwise(borders)]


def plan_key(source: Source, prompting: Prompting, plan: Plan, model_id: str) -> str:
    """Names everything that the parts depend on: equal keys may share finished parts."""
    layout = [[section.start, section.end] for section in plan.sections]
    everything = [
        *(source.digest, source.file_name, model_id, prompting.settings.values()),
        prompting.section("", "", 1)[0],  # the wording, and the format that the user chose
        *(layout, plan.counts, plan.num_bullets, plan.call_tokens),
    ]
    return hashlib.sha256(json.dumps(everything).encode()).hexdigest()


def _overhead(prompting: Prompting) -> int:
    """Tokens of a prompt without its text, with the longest title."""
    strong = prompting.section("", "題" * 40, MAX_BULLETS)[1]
    return max(len(strong), len(prompting.merging([], "題" * 40, MAX_BULLETS)[1])) + 8


def _split_room(
    room: int, overhead: int, capacity: Capacity, limits: BulletLimits
) -> tuple[int, int, int]:
    """(calls at a time, tokens of one, of its text). Raises ContextTooSmallError."""
    parallel = max(1, min(room // CALL_TOKENS, MAX_PARALLEL, capacity.n_slots - 1))
    for num in range(parallel, 0, -1):
        call_tokens = min(room // num, MAX_CALL_TOKENS)
        text_tokens = call_tokens - overhead - reserve(5, limits)
        if text_tokens >= (MIN_TEXT_TOKENS if num == 1 else 4 * MIN_TEXT_TOKENS):
            return num, call_tokens, text_tokens
    raise ContextTooSmallError("summary.context_too_small", n_ctx=capacity.n_ctx)


def _counts(source: Source, sections: Sequence[Section], wanted: int, mode: Mode) -> list[int]:
    """Bullets of each section, by its length; together more than wanted."""
    total = sum(section.num_tokens for section in sections)
    counts = []
    for section in sections:
        share = SURPLUS * wanted * section.num_tokens / total
        count = max(1, min(math.ceil(share), MAX_BULLETS if len(sections) < 4 else 5))
        if mode is Mode.VERBATIM:
            count = min(count, len(candidates_in(source, section.first, section.last)))
        counts.append(count)
    return counts


def _num_merges(num_points: int, num_bullets: int, merge_tokens: int, limits: BulletLimits) -> int:
    """Calls that bring the points of all sections down to the bullets: an estimate."""
    per_group = max(3, int(merge_tokens / usual_tokens(limits)))
    num_calls = 0
    while num_points > per_group and num_points > num_bullets:
        sizes = [per_group] * math.ceil(num_points / per_group)
        num_calls += len(sizes)
        num_points = min(sum(merged_counts(sizes, num_bullets)), num_points - 1)
    return num_calls + 1


def covers(plan: Plan, source: Source) -> bool:
    """The promise that nothing is cut: between and around sections there is only white space."""
    borders = [(0, 0), *((s.start, s.end) for s in plan.sections), (len(source.text),) * 2]
    return not any(source.text[before[1] : after[0]].strip() for before, after in pairwise(borders))
