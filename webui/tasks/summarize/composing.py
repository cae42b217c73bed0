"""Composition: the calls of one run, a bullet for each Span, Spans of Spans behind their parts.

Knows prompts and the engine; knows nothing about storage, owners or leases: finished parts come
in, and each new one is handed to `save`.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from webui.engine.client import Engine
from webui.strings import Language
from webui.tasks.summarize.checks import Fault, SpanCheck, facts_of, is_double
from webui.tasks.summarize.planning import Plan
from webui.tasks.summarize.prompting import Prompting
from webui.tasks.summarize.settings import Mode, Style, limits_of
from webui.tasks.summarize.shortening import last_resort, tightening
from webui.tasks.summarize.source import Source
from webui.tasks.summarize.spans import KEY_CHARS, Span, Unit, length_of
from webui.tasks.summarize.subjects import as_said_by, topic_of, without_speaker, without_topic
from webui.tasks.summarize.writer import Writing, WritingStats, Written, write
from webui.text.condense import condensed
from webui.text.grounding import Aligner
from webui.text.language import main_language

HEARTBEAT_S = 0.5
SHORT_KEY_CHARS = 40  # a shorter point is named together with a neighbour


Place = tuple[int, int]  # stage and position
Parts = Mapping[Place, dict[str, Any]]
Save = Callable[[int, int, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class LiveSection:
    """What is shown of a Span while the run goes on."""

    index: int
    title: str
    bullets: tuple[str, ...]
    partial: str
    is_done: bool


@dataclass(frozen=True, slots=True)
class Point:
    """The bullet of a Span; no text where there was nothing to quote."""

    text: str
    span: Span
    is_shortened: bool = False  # a sentence of the source


@dataclass(frozen=True, slots=True)
class _Call:
    place: Place
    span: Span
    others: tuple[str, ...] = ()  # bullets that must not be said again
    leave_out: frozenset[int] = frozenset()  # sentences that another bullet is about


class Composition:
    def __init__(
        self, source: Source, prompting: Prompting, plan: Plan, finished: Parts, save: Save
    ) -> None:
        self.plan = plan
        self.stats = WritingStats()
        self.points: tuple[Point, ...] = ()  # the result, when run() is over
        self.num_calls = plan.num_calls
        self.is_merging = False
        self._source = source
        self._prompting = prompting
        self._limits = limits_of(prompting.settings)
        self._is_verbatim = prompting.settings.mode is Mode.VERBATIM
        self._topic = topic_of(source)
        self._save = save
        self._stages = plan.stages
        self._done: dict[Place, Point] = {}
        for (stage, position), value in finished.items():
            span = self._stages[stage][position]
            self._done[stage, position] = Point(value["text"], span, value["is_shortened"])
            _add(self.stats, value["stats"])
        self._writing: dict[Place, Written] = {}
        self._calls: list[_Call] = []
        self._num_at_start = len(self._done)
        self._began_at = time.perf_counter()
        self._aligner: Aligner | None = None

    @property
    def num_done(self) -> int:
        return len(self._done)

    def live(self) -> tuple[LiveSection, ...]:
        """Every Span of the current stage that has begun."""
        shown = []
        for call in self._calls:
            done, news = self._done.get(call.place), self._writing.get(call.place)
            position, title = call.place[1], call.span.title
            if news is not None:
                shown.append(LiveSection(position, title, (), news.text, False))
            elif done is not None:
                bullets = (done.text,) if done.text else ()
                shown.append(LiveSection(position, title, bullets, "", True))
        return tuple(shown)

    def eta_s(self) -> float | None:
        """From what this run itself has taken so far; from the plan until a part has ended."""
        elapsed_s = time.perf_counter() - self._began_at
        share = self._share_done()
        if share <= 0.02:
            left = self.plan.eta_s * (1 - self._num_at_start / max(1, self.num_calls))
            return max(0.0, left - elapsed_s)
        return max(0.0, elapsed_s * (1 - share) / share)

    async def run(self, engine: Engine) -> AsyncGenerator[bool, None]:
        """True when a part has ended, False for other news or every HEARTBEAT_S."""
        self._writing.clear()
        self._aligner = await asyncio.to_thread(_aligner_of, self._source)
        for stage, spans in enumerate(self._stages):
            self.is_merging = stage > 0
            calls = [_Call((stage, position), span) for position, span in enumerate(spans)]
            self._calls = calls
            missing = [call for call in calls if call.place not in self._done]
            async with aclosing(self._written(engine, missing)) as news:
                async for has_ended in news:
                    yield has_ended
        if doubles := self._doubles():
            self._calls = doubles
            async with aclosing(self._written(engine, doubles)) as news:
                async for has_ended in news:
                    yield has_ended
        self.is_merging = False
        self.points = self._result()

    def _result(self) -> tuple[Point, ...]:
        """Each once, without a subject that all of them share, in the document's order."""
        points: list[Point] = []
        for place in self._tops():
            point = self._done[place]
            is_said = any(is_double(point.text, other.text) for other in points)
            if point.text and not (is_said and not self._is_verbatim):
                points.append(point)
        if self._is_verbatim or self._limits.language is not Language.JA:
            return tuple(points)
        if self._prompting.settings.style is Style.MINUTES:
            return tuple(replace(point, text=self._as_minutes(point)) for point in points)
        texts = without_topic([point.text for point in points], self._topic)
        return tuple(
            Point(text, point.span, point.is_shortened)
            for text, point in zip(texts, points, strict=True)
        )

    def _as_minutes(self, point: Point) -> str:
        """Who said it stands at its source; 「私が」 would be nobody."""
        focus = point.span.focus
        speaker = self._source.speaker(focus.start, focus.end) if focus else ""
        return as_said_by(point.text, speaker)

    # --- calls -----------------------------------------------------------------------------------

    async def _written(self, engine: Engine, calls: Sequence[_Call]) -> AsyncGenerator[bool, None]:
        """All of these, `plan.parallel` at a time."""
        turns = asyncio.Semaphore(self.plan.parallel)
        changed = asyncio.Event()
        tasks = [asyncio.create_task(self._call(engine, c, turns, changed)) for c in calls]
        num_ended = 0
        try:
            while num_ended < len(tasks):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT_S):
                        await changed.wait()
                changed.clear()
                ended = [task for task in tasks if task.done()]
                for task in ended:
                    task.result()
                yield len(ended) > num_ended
                num_ended = len(ended)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _call(
        self, engine: Engine, call: _Call, turns: asyncio.Semaphore, changed: asyncio.Event
    ) -> None:
        stage, position = call.place
        async with turns:
            writing = await asyncio.to_thread(self._writing_of, call)
            news = Written("", is_done=True)
            if writing is not None:
                sampling = self._prompting.sampling(seed=stage * 1000 + position + 1)
                async with aclosing(write(engine, writing, sampling)) as events:
                    async for news in events:
                        self._writing[call.place] = news
                        changed.set()
        point = Point(news.text, call.span, news.is_shortened)
        values = {"text": point.text, "is_shortened": point.is_shortened}
        self._save(stage, position, {**values, "stats": _values(news.stats)})
        _add(self.stats, _values(news.stats))
        self._done[call.place] = point
        self._writing.pop(call.place, None)
        changed.set()

    def _writing_of(self, call: _Call) -> Writing | None:
        """None where there is nothing to quote."""
        points = [self._point_of(child).text for child in call.span.children]
        points = [point for point in points if point]
        if self._is_verbatim:
            return self._quoting(call, points)
        return self._merging(call, points) if points else self._bullet(call)

    def _quoting(self, call: _Call, points: Sequence[str]) -> Writing | None:
        candidates = points or call.span.quotable(self._source.text)
        candidates = [text for text in candidates if text not in call.others]
        if not candidates:
            return None
        text = self._text_of(call.span) if not points else "\n".join(f"・{p}" for p in points)
        prompts = self._prompting.bullet(text, call.span.title, "")
        return Writing(prompts, self._limits, _no_fault, candidates=tuple(candidates))

    def _bullet(self, call: _Call) -> Writing:
        assert self._aligner is not None, "run() has made it"
        span = call.span
        units = [unit for unit in span.by_salience() if unit.sentence not in call.leave_out]
        units = units or span.by_salience()
        speaker = self._source.speaker(units[0].start, units[0].end) if span.kind else ""
        about = f"{self._topic}\n{speaker}"
        key = self._key(span, units)
        facts = facts_of(key, main_language(key))
        check = SpanCheck(self._aligner, span.sentences, self._limits, about, call.others, facts)
        is_foreign = check.is_foreign  # names and numbers get lost on the way
        prompts = self._prompting.bullet(
            self._text_of(span),
            self._title_of(span),
            key,
            span.kind,
            speaker,
            facts if is_foreign else (),
        )
        texts = [self._source.text[unit.start : unit.end] for unit in units]
        if speaker:
            texts = [without_speaker(text, speaker) for text in texts]
        limits, granularity = self._limits, self._prompting.settings.granularity
        tightened = tightening(check, limits, granularity)
        last = last_resort(texts, check, limits, granularity)
        return Writing(prompts, limits, _judge(check), tightened, last)

    def _merging(self, call: _Call, points: Sequence[str]) -> Writing:
        """Its Spans' bullets are the text; the point of it is the most salient Span's."""
        children = sorted(call.span.children, key=lambda child: -child.by_salience()[0].salience)
        ranked = [self._point_of(child).text for child in children]
        ranked = [point for point in ranked if point and point not in call.others] or list(points)
        check = SpanCheck(
            Aligner(points), range(len(points)), self._limits, self._topic, call.others
        )
        prompts = self._prompting.merging(points, self._title_of(call.span), ranked[0])
        granularity = self._prompting.settings.granularity
        last = last_resort(ranked, check, self._limits, granularity)
        return Writing(prompts, self._limits, _judge(check), last_resort=last)

    def _key(self, span: Span, units: Sequence[Unit]) -> str:
        """What carries the Span: its most salient sentence, a short one with the next."""
        first = units[0]
        key = self._source.text[first.start : first.end]
        if length_of(key) > KEY_CHARS:
            most = round(KEY_CHARS * len(key) / length_of(key))
            return condensed(key, most) or key[:most]
        if length_of(key) <= SHORT_KEY_CHARS:
            after = [unit for unit in span.units if unit.start >= first.end][:1]
            more = "".join(self._source.text[unit.start : unit.end] for unit in after)
            key += more if len(key) + len(more) <= KEY_CHARS else ""
        return key

    # --- places ----------------------------------------------------------------------------------

    def _tops(self) -> list[Place]:
        return [self._place_of(span) for span in self.plan.spans]

    def _place_of(self, span: Span) -> Place:
        return span.height, self._stages[span.height].index(span)

    def _point_of(self, span: Span) -> Point:
        return self._done[self._place_of(span)]

    def _text_of(self, span: Span) -> str:
        return self._source.text[span.start : span.end]

    def _title_of(self, span: Span) -> str:
        return "・".join(dict.fromkeys(filter(None, (self._topic, span.title))))

    def _doubles(self) -> list[_Call]:
        """Bullets that say what one before them says, to be written of something else, once."""
        calls: list[_Call] = []
        tops = self._tops()
        texts = [self._done[place].text for place in tops]
        for index, place in enumerate(tops):
            before = [text for text in texts[:index] if text]
            if not any(is_double(texts[index], text) for text in before):
                continue
            others = tuple(text for number, text in enumerate(texts) if number != index and text)
            said = frozenset(self._said(self._done[place]))
            calls.append(_Call(place, self._done[place].span, others, said))
        return calls

    def _said(self, point: Point) -> list[int]:
        """The sentences of its Span that a bullet is about."""
        assert self._aligner is not None, "run() has made it"
        found = self._aligner.ground(point.text, within=point.span.sentences)
        return [source.index for source in found.sources]

    def _share_done(self) -> float:
        """Of the calls of this run; those being written count a little."""
        total = self.num_calls - self._num_at_start
        done = self.num_done - self._num_at_start
        begun = 0.3 * len(self._writing)
        return min(0.99, (done + begun) / total) if total > 0 and done else 0.0


def _judge(check: SpanCheck) -> Callable[[str, bool], Fault]:
    return lambda bullet, is_whole: check.fault(bullet, is_whole=is_whole)


def _no_fault(bullet: str, is_whole: bool) -> Fault:
    return Fault.NONE


def _aligner_of(source: Source) -> Aligner:
    return Aligner([source.sentence(index) for index in range(len(source.sentences))])


def _values(stats: WritingStats) -> dict[str, float]:
    return {name: getattr(stats, name) for name in WritingStats.__slots__}


def _add(stats: WritingStats, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        setattr(stats, name, getattr(stats, name) + value)
