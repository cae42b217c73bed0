"""Writer: one call to the engine becomes one finished bullet, whatever the model's weights are.

The grammar guarantees the form. What is written is looked at when it is there; a faulty bullet is
tried again with a stronger instruction, then in a script that the grammar forces where the
language was wrong. What still is not fit to be shown is replaced by the last resort, a shortened
sentence of the source. Knows no documents.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from webui.engine.client import Delta, Engine
from webui.engine.request import SamplingParams, Usage
from webui.errors import AppError
from webui.strings import Language
from webui.tasks.summarize.checks import MAY_STAND, Fault
from webui.tasks.summarize.grammar import bullet_grammar, choice_grammar
from webui.tasks.summarize.settings import BulletLimits
from webui.text.plain_form import plain_form

TOKENS_PER_CHAR = 1.2  # of Japanese, at most usual; a byte a token at worst, in a later try
MAX_TRIES = 3
MAX_BOUND_TRIES = 6  # where no sentence of the source can stand in
WARMER = 0.3  # added to the temperature when a bullet is tried again


@dataclass(frozen=True, slots=True)
class Writing:
    """What to write. `prompts`: the usual one, and the one with a stronger instruction."""

    prompts: tuple[tuple[int, ...], tuple[int, ...]]
    limits: BulletLimits
    fault: Callable[[str, bool], Fault]  # of a bullet, and whether the model ended it
    tightened: Callable[[str], str] = lambda bullet: (
        ""
    )  # a copy made shorter; "" where it cannot be
    last_resort: str = ""  # a shortened sentence of the source; "" = there is none
    candidates: tuple[str, ...] = ()  # not empty: choose one of these

    @property
    def max_tokens(self) -> int:
        """Enough as a rule."""
        if self.candidates:
            return max(map(len, self.candidates)) * 4 + 12
        return round((self.limits.max_chars + 3) * TOKENS_PER_CHAR)


@dataclass(slots=True)
class WritingStats:
    """Sums over tries. `num_wrong_language`: bullets whose first try was in another language."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    num_calls: int = 0
    num_bullets: int = 0
    num_wrong_language: int = 0
    num_shortened: int = 0

    def add(self, usage: Usage) -> None:
        self.num_calls += 1
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cached_tokens
        self.completion_tokens += usage.completion_tokens


@dataclass(frozen=True, slots=True)
class Written:
    """News: the bullet so far; when `is_done`, the bullet."""

    text: str
    is_done: bool = False
    is_shortened: bool = False  # a sentence of the source
    stats: WritingStats = field(default_factory=WritingStats)


class NoRoomError(AppError):
    """The context has no room for a bullet."""


async def write(
    engine: Engine, writing: Writing, sampling: SamplingParams
) -> AsyncGenerator[Written, None]:
    """Written after each piece of text, the last one with `is_done`.

    Raises what Engine.generate raises.
    """
    answer = _Answer(writing, sampling)
    while not answer.is_complete:
        prompt, params = answer.next_try()
        async with aclosing(engine.generate(prompt, params, is_background=True)) as events:
            async for event in events:
                if isinstance(event, Delta):
                    answer.take(event)
                    yield Written(answer.partial, stats=answer.stats)
    yield answer.result()


class _Answer:
    """One bullet over all its tries."""

    def __init__(self, writing: Writing, sampling: SamplingParams) -> None:
        self._writing = writing
        self._sampling = sampling
        self._line = ""
        self._num_tries = 0
        self._was_foreign = False
        self._was_cut = False
        self._best = ""
        self._fault = Fault.LANGUAGE
        self.stats = WritingStats()

    @property
    def partial(self) -> str:
        return self._line.removeprefix(self._writing.limits.marker)

    @property
    def is_complete(self) -> bool:
        if self._best and (self._fault is Fault.NONE or self._writing.candidates):
            return True
        if self._best and self._fault <= MAY_STAND:
            return not self._is_worth_a_try() or self._num_tries >= MAX_TRIES - 1
        if self._num_tries < MAX_TRIES:
            return False
        has_stand_in = self._writing.last_resort or self._fault is not Fault.LANGUAGE
        return bool(has_stand_in) or self._num_tries >= MAX_BOUND_TRIES

    def _is_worth_a_try(self) -> bool:
        """Whether what may stand gets better by another try as a rule: time is short, too."""
        if self._fault is Fault.COPIED:
            return not self._writing.tightened(self._best)
        is_foreign = not self._writing.last_resort  # names and numbers got lost on the way
        return self._fault is Fault.NEGATION or (self._fault is Fault.MISSED and is_foreign)

    def next_try(self) -> tuple[tuple[int, ...], SamplingParams]:
        self._line = ""
        writing, number = self._writing, self._num_tries
        warmth = self._sampling.temperature + WARMER * number
        seed = None if self._sampling.seed is None else self._sampling.seed + 1000 * number
        is_bound = number >= MAX_TRIES - 1 and self._was_foreign
        max_tokens = writing.limits.max_bytes if self._was_cut or is_bound else writing.max_tokens
        if writing.candidates:
            grammar = choice_grammar(writing.candidates, writing.limits.marker)
        else:
            grammar = bullet_grammar(writing.limits, script_bound=is_bound)
        sampling = replace(
            self._sampling,
            grammar=grammar,
            max_tokens=max_tokens,
            temperature=min(1.5, warmth),
            seed=seed,
        )
        return writing.prompts[min(1, number)], sampling

    def take(self, delta: Delta) -> None:
        self._line += delta.text
        if delta.usage:
            self.stats.add(delta.usage)
        if delta.finish_reason:
            self._judge()

    def _judge(self) -> None:
        """Keep the best try."""
        self._num_tries += 1
        writing, bullet = self._writing, self.partial.strip()
        if writing.candidates:
            self._best = bullet if bullet in writing.candidates else ""
            if not self._best and self._num_tries >= MAX_TRIES:
                raise NoRoomError("summary.no_room")
            return
        limits = writing.limits
        is_whole = bullet.endswith(limits.end) and len(bullet) <= limits.max_chars
        if limits.language is Language.JA:
            bullet = plain_form(bullet)
        fault = writing.fault(bullet, is_whole)
        self._was_foreign |= fault is Fault.LANGUAGE
        self._was_cut |= not bullet.endswith(limits.end)
        if bullet.endswith(limits.end) and (not self._best or fault < self._fault):
            self._best, self._fault = bullet, fault

    def result(self) -> Written:
        stats = self.stats
        stats.num_bullets += 1
        stats.num_wrong_language += self._was_foreign
        text, is_shortened = self._best, False
        if self._fault is Fault.COPIED and (tight := self._writing.tightened(text)):
            text, is_shortened = tight, True
        if not self._writing.candidates and (self._fault > MAY_STAND or not text):
            if self._writing.last_resort:
                text, is_shortened = self._writing.last_resort, True
            elif not text:
                raise NoRoomError("summary.no_room")
        stats.num_shortened += is_shortened
        return Written(text, True, is_shortened, stats)
