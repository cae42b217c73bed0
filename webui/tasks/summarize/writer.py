"""Writer: one call to the engine becomes N finished bullets, whatever the model's weights are.

The grammar guarantees the format. Each finished line is looked at as it comes: a wrong language,
a repetition or a line that ran into the length bound stops the answer there, and it is written on
from the last good bullet with a stronger instruction, then with a grammar that forces the script.
Knows no documents.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from webui.engine.client import Delta, Engine
from webui.engine.request import FinishReason, SamplingParams, Usage
from webui.errors import AppError
from webui.strings import Language
from webui.tasks.summarize.grammar import bullets_grammar, choice_grammar
from webui.tasks.summarize.settings import BulletLimits
from webui.text.language import is_in

TOKENS_PER_CHAR = 1.2  # of Japanese, at most usual; more is written in another round
MAX_ROUNDS_PER_BULLET = 6
MAX_FRUITLESS_ROUNDS = 3
WARMER = 0.3  # added to the temperature when a bullet is tried again


@dataclass(frozen=True, slots=True)
class Writing:
    """What to write. `prompts`: the usual one, and the one with a stronger instruction."""

    prompts: tuple[tuple[int, ...], tuple[int, ...]]
    count: int
    limits: BulletLimits
    candidates: tuple[str, ...] = ()  # not empty: choose among these, in their order

    @property
    def max_tokens(self) -> int:
        """Enough as a rule; at least one more bullet always fits."""
        if self.candidates:
            longest = sorted(map(len, self.candidates), reverse=True)[: self.count]
            return round(sum(longest) * TOKENS_PER_CHAR) + 12 * self.count
        usual = round((self.limits.max_chars + 3) * TOKENS_PER_CHAR * 0.7 * self.count)
        return max(self.limits.max_bytes, usual)


@dataclass(slots=True)
class WritingStats:
    """Sums over rounds. A bullet `needed_help` when its first try was in the wrong language."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    num_calls: int = 0
    num_bullets: int = 0
    num_wrong_language: int = 0
    prefill_s: float = 0.0
    decode_s: float = 0.0

    def add(self, usage: Usage) -> None:
        self.num_calls += 1
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cached_tokens
        self.completion_tokens += usage.completion_tokens
        self.prefill_s += max(0.0, usage.time_to_first_token_s - usage.queue_s)
        if usage.tokens_per_s > 0:
            self.decode_s += (usage.completion_tokens - 1) / usage.tokens_per_s


@dataclass(frozen=True, slots=True)
class Written:
    """News: the bullets so far, and the beginning of the next one."""

    bullets: tuple[str, ...]
    partial: str = ""
    num_tokens: int = 0
    num_prompt_done: int = 0
    is_done: bool = False
    stats: WritingStats = field(default_factory=WritingStats)


class NoRoomError(AppError):
    """The context has no room for a single bullet more."""


class _Fault(Enum):
    LANGUAGE = auto()
    REPEATED = auto()
    RAN_ON = auto()  # into the length bound: its last word may be cut


async def write(
    engine: Engine, writing: Writing, sampling: SamplingParams
) -> AsyncGenerator[Written, None]:
    """Written after each piece of text, the last one with `is_done` and exactly `count` bullets.

    Raises what Engine.generate raises.
    """
    answer = _Answer(writing, sampling)
    while not answer.is_complete:
        prompt, params = answer.next_round(engine)
        events = engine.generate(prompt, params, is_background=True)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Delta):
                    is_good = answer.take(event)
                    yield answer.news()
                    if not is_good:
                        break
                else:
                    yield replace(answer.news(), num_prompt_done=event.num_prompt_done)
    yield replace(answer.news(), partial="", is_done=True)


class _Answer:
    """The bullets of one call, over all its rounds."""

    def __init__(self, writing: Writing, sampling: SamplingParams) -> None:
        self._writing = writing
        self._sampling = sampling
        self._bullets: list[str] = []
        self._line = ""
        self._num_tokens = 0
        self._num_fruitless = 0  # rounds in a row
        self._num_tries = 0  # of the bullet that is being written
        self._is_strong = False
        self._is_bound = False
        self._was_foreign = False
        self.stats = WritingStats()

    @property
    def is_complete(self) -> bool:
        return len(self._bullets) >= self._writing.count

    def news(self) -> Written:
        partial = self._line.removeprefix(self._writing.limits.marker)
        return Written(tuple(self._bullets), partial, self._num_tokens, stats=self.stats)

    def next_round(self, engine: Engine) -> tuple[tuple[int, ...], SamplingParams]:
        """The prompt with the good bullets behind it, and the grammar for those that lack."""
        assert engine.tokenizer is not None
        self._line = ""
        writing = self._writing
        marker = writing.limits.marker
        done = "".join(f"{marker}{bullet}\n" for bullet in self._bullets)
        prompt = writing.prompts[1 if self._is_strong else 0]
        if done:
            prompt = (*prompt, *engine.tokenizer.encode_text(done))
        warmer = min(1.5, self._sampling.temperature + WARMER * self._num_tries)
        sampling = replace(
            self._sampling,
            grammar=self._grammar(),
            max_tokens=self._left_open().max_tokens << self._num_fruitless,
            temperature=warmer if self._num_tries else self._sampling.temperature,
        )
        return prompt, sampling

    def take(self, delta: Delta) -> bool:
        """False when the rest of this round is of no use."""
        self._num_tokens += len(delta.token_ids)
        if delta.usage:
            self.stats.add(delta.usage)
        *lines, self._line = (self._line + delta.text).split("\n")
        if delta.finish_reason and self._is_finished(self._line, delta.finish_reason):
            lines.append(self._line)
            self._line = ""
        if delta.finish_reason:
            self._num_fruitless = 0 if lines else self._num_fruitless + 1
            if self._num_fruitless >= MAX_FRUITLESS_ROUNDS:
                raise NoRoomError("summary.no_room")
        return all(self._accept(line) for line in lines)

    def _accept(self, line: str) -> bool:
        bullet = line.removeprefix(self._writing.limits.marker)
        fault = self._fault(bullet)
        self._num_tries += 1
        if fault and self._num_tries < MAX_ROUNDS_PER_BULLET and self._try_harder(fault):
            return False
        if fault is _Fault.RAN_ON:
            bullet = shortened(bullet, self._writing.limits)
        self.stats.num_bullets += 1
        self.stats.num_wrong_language += self._was_foreign
        self._bullets.append(bullet)
        self._num_tries = 0
        self._was_foreign = False
        return not self.is_complete

    def _try_harder(self, fault: _Fault) -> bool:
        """Whether another round can make this better."""
        if fault is _Fault.LANGUAGE:
            self._was_foreign = True
            self._is_bound = self._is_strong
            self._is_strong = True
            return True
        self._is_strong = True
        return self._num_tries < 3

    def _fault(self, bullet: str) -> _Fault | None:
        limits = self._writing.limits
        if self._writing.candidates:
            return None
        if not is_in(limits.language, bullet):
            return _Fault.LANGUAGE
        if bullet in self._bullets:
            return _Fault.REPEATED
        if not self._is_bound and len(bullet) >= limits.max_chars + 1:
            return _Fault.RAN_ON
        return None

    def _is_finished(self, line: str, reason: FinishReason) -> bool:
        """Whether a last line without its line break is a whole bullet."""
        writing = self._writing
        body = line.removeprefix(writing.limits.marker)
        if writing.candidates:
            return body in writing.candidates
        if writing.limits.language is Language.EN and reason is not FinishReason.STOP:
            return False  # the stop may be one inside a number
        return len(body) > writing.limits.min_chars and body.endswith(writing.limits.end)

    def _left_open(self) -> Writing:
        """What is still to be written."""
        writing = self._writing
        left = writing.count - len(self._bullets)
        candidates = writing.candidates
        if candidates and self._bullets:
            candidates = candidates[candidates.index(self._bullets[-1]) + 1 :]
        return replace(writing, count=left, candidates=candidates)

    def _grammar(self) -> str:
        left = self._left_open()
        if left.candidates:
            return choice_grammar(left.candidates, left.count, left.limits.marker)
        return bullets_grammar(left.count, left.limits, script_bound=self._is_bound)


def shortened(bullet: str, limits: BulletLimits) -> str:
    """A bullet that ran into the bound, ended at its last clause; as it is without one."""
    mark = "、" if limits.language is Language.JA else ","
    cut = bullet.rfind(mark, len(bullet) // 2)
    return bullet[:cut] + limits.end if cut > 0 else bullet
