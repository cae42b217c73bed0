"""Composition: the calls of one run. Sections side by side, then merging, each part saved.

Knows prompts and the engine; knows nothing about storage, owners or leases: finished parts come
in, and each new one is handed to `save`.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from webui.engine.client import Engine
from webui.tasks.summarize.planning import Plan, groups_of, merged_counts
from webui.tasks.summarize.prompting import Prompting
from webui.tasks.summarize.settings import Mode, limits_of
from webui.tasks.summarize.source import Source
from webui.tasks.summarize.verbatim import candidates_in, ranked
from webui.tasks.summarize.writer import Writing, WritingStats, Written, write
from webui.text.features import features

HEARTBEAT_S = 0.5
SAME = 0.8  # shared features of two points that say the same

Parts = Mapping[tuple[int, int], dict[str, Any]]
Save = Callable[[int, int, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class LiveSection:
    """What is shown of a section while the run goes on."""

    index: int
    title: str
    bullets: tuple[str, ...]
    partial: str
    is_done: bool


@dataclass(frozen=True, slots=True)
class _Call:
    stage: int
    position: int
    title: str
    writing: Callable[[], Writing]  # made when it is its turn: prompts are long


class Composition:
    def __init__(
        self, source: Source, prompting: Prompting, plan: Plan, finished: Parts, save: Save
    ) -> None:
        self.plan = plan
        self.stats = WritingStats()
        self.bullets: tuple[str, ...] = ()  # the result, when run() is over
        self.num_calls = plan.num_calls
        self.is_merging = False
        self._source = source
        self._prompting = prompting
        self._limits = limits_of(prompting.settings)
        self._is_verbatim = prompting.settings.mode is Mode.VERBATIM
        self._save = save
        self._done = {place: tuple(value["bullets"]) for place, value in finished.items()}
        for value in finished.values():
            _add(self.stats, value["stats"])
        self._writing: dict[tuple[int, int], Written] = {}
        self._calls: list[_Call] = []
        self._num_at_start = len(self._done)
        self._began_at = time.perf_counter()

    @property
    def num_done(self) -> int:
        return len(self._done)

    def live(self) -> tuple[LiveSection, ...]:
        """Every part of the current stage that has begun."""
        shown = []
        for call in self._calls:
            place = (call.stage, call.position)
            done, news = self._done.get(place), self._writing.get(place)
            if done is not None:
                shown.append(LiveSection(call.position, call.title, done, "", True))
            elif news is not None:
                section = LiveSection(call.position, call.title, news.bullets, news.partial, False)
                shown.append(section)
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
        self._calls = [self._section_call(index) for index in range(len(self.plan.sections))]
        async with aclosing(self._stage(engine)) as news:
            async for has_ended in news:
                yield has_ended
        points = self._points()
        stage = 0
        self.is_merging = self._needs_merging(points)
        while self.is_merging:
            stage += 1
            groups = groups_of(points, self._prompting, self.plan)
            is_last = len(groups) == 1 or len(points) <= self.plan.num_bullets
            self._calls = self._merge_calls(stage, groups)
            async with aclosing(self._stage(engine)) as news:
                async for has_ended in news:
                    yield has_ended
            points = self._points()
            self.is_merging = not is_last and self._needs_merging(points)
        self.bullets = tuple(points)
        self.num_calls = self.num_done

    def _needs_merging(self, points: list[str]) -> bool:
        """Quotes are only chosen among; written points are always put into one piece."""
        if len(self.plan.sections) == 1:
            return False
        return not self._is_verbatim or len(points) > self.plan.num_bullets

    # --- one stage -------------------------------------------------------------------------------

    async def _stage(self, engine: Engine) -> AsyncGenerator[bool, None]:
        """All calls of this stage that are not done yet, `plan.parallel` at a time."""
        missing = [call for call in self._calls if (call.stage, call.position) not in self._done]
        if not missing:
            return
        turns = asyncio.Semaphore(self.plan.parallel)
        changed = asyncio.Event()
        tasks = [asyncio.create_task(self._call(engine, c, turns, changed)) for c in missing]
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
        place = (call.stage, call.position)
        async with turns:
            writing = await asyncio.to_thread(call.writing)
            sampling = self._prompting.sampling(seed=call.stage * 1000 + call.position + 1)
            news = Written(())
            async with aclosing(write(engine, writing, sampling)) as events:
                async for news in events:
                    self._writing[place] = news
                    changed.set()
        self._save(*place, {"bullets": list(news.bullets), "stats": _values(news.stats)})
        _add(self.stats, _values(news.stats))
        self._done[place] = news.bullets
        self._writing.pop(place, None)
        changed.set()

    def _section_call(self, index: int) -> _Call:
        section, count = self.plan.sections[index], self.plan.counts[index]

        def writing() -> Writing:
            text = self._source.text[section.start : section.end]
            title = section.title if len(self.plan.sections) > 1 else ""
            candidates: tuple[str, ...] = ()
            if self._is_verbatim:
                found = candidates_in(self._source, section.first, section.last)
                candidates = tuple(ranked(found))
            prompts = self._prompting.section(text, title, count)
            return Writing(prompts, count, self._limits, candidates)

        return _Call(0, index, section.title, writing)

    def _merge_calls(self, stage: int, groups: list[list[str]]) -> list[_Call]:
        counts = merged_counts([len(group) for group in groups], self.plan.num_bullets)
        return [
            self._merge_call(stage, index, group, count)
            for index, (group, count) in enumerate(zip(groups, counts, strict=True))
        ]

    def _merge_call(self, stage: int, index: int, points: list[str], count: int) -> _Call:
        def writing() -> Writing:
            prompts = self._prompting.merging(points, self._source.title, count)
            return Writing(prompts, count, self._limits, tuple(points) if self._is_verbatim else ())

        return _Call(stage, index, "", writing)

    # --- points ----------------------------------------------------------------------------------

    def _points(self) -> list[str]:
        """All bullets of the finished stage in the document's order, each said once."""
        found = [b for call in self._calls for b in self._done[call.stage, call.position]]
        if len(self._calls) == 1:
            return found
        return distinct(found, exactly=self._is_verbatim)

    def _share_done(self) -> float:
        """Of the calls of this run; those being written count by their bullets."""
        total = self.num_calls - self._num_at_start
        done = self.num_done - self._num_at_start
        begun = sum(len(news.bullets) / 20 for news in self._writing.values())
        return min(0.99, (done + min(begun, 0.5)) / total) if total > 0 and done else 0.0


def distinct(points: list[str], *, exactly: bool) -> list[str]:
    """Without those that repeat an earlier one; the same words count as the same."""
    kept: list[str] = []
    bags: list[set[str]] = []
    for point in points:
        bag = features(point)
        if point in kept or (not exactly and any(_is_same(bag, other) for other in bags)):
            continue
        kept.append(point)
        bags.append(bag)
    return kept


def _is_same(bag: set[str], other: set[str]) -> bool:
    return bool(bag) and len(bag & other) >= SAME * len(bag | other)


def _values(stats: WritingStats) -> dict[str, float]:
    return {name: getattr(stats, name) for name in WritingStats.__slots__}


def _add(stats: WritingStats, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        setattr(stats, name, getattr(stats, name) + value)
