"""Examines a model as the built-in one is judged: held-out texts, the app's engine and prompts.

    python -m training.language_model.evaluate --corpus DIR [--model FILE.gguf] [--num 100]

Greedy. Prints each figure beside what is wanted, and all as JSON on the last line.
"""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.language_model.corpus import Corpus, CorpusError, load
from training.language_model.export import DEFAULT_PATH
from training.language_model.lessons import ABSTAIN, Messages, Teacher, ask_messages, topics
from webui.config import Settings
from webui.engine.pool import EnginePool
from webui.errors import AppError
from webui.models import Catalog
from webui.strings import Language
from webui.tasks.ask.quoting import best_quotes, quotes_grammar
from webui.tasks.ask.result import NumberedPassage
from webui.tasks.complete import Ask, Completions, Piece
from webui.tasks.summarize.grammar import bullet_grammar
from webui.tasks.summarize.settings import SummarySettings, limits_of
from webui.text.pages import Span

PARALLEL = 8
MIN_SHARED = 4  # characters in a row that count as taken from the source
CONTAINED = 0.9
WANTED = {
    "bullets_as_asked": 0.98,
    "bullets_as_asked_unaided": 0.0,
    "bullets_contained": 0.9,
    "bullets_contained_unaided": 0.0,
    "answering_sentence_found": 0.7,
    "answering_sentence_found_unaided": 0.0,
    "cited_rightly": 0.0,
    "cited_rightly_unaided": 0.0,
    "abstains": 0.7,
    "abstains_unaided": 0.0,
    "fitting_replies": 0.9,
    "endless": 0.01,  # at most
    "tokens_per_s": 60.0,
}


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    is_endless: bool
    tokens_per_s: float


class Examiner:
    def __init__(self, completions: Completions, corpus: Corpus, num: int, seed: int = 7) -> None:
        self._completions = completions
        self._teacher = Teacher(corpus, seed)
        self._random = random.Random(seed)
        self._num = num
        self._gate = asyncio.Semaphore(PARALLEL)
        self._endless: list[bool] = []

    async def figures(self) -> dict[str, float]:
        found = await self._bullets()
        found |= await self._bullets(unaided=True)
        found |= await self._answers()
        found |= await self._answers(unaided=True)
        found |= await self._openings()
        alone = await self._ask([{"role": "user", "content": "何ができますか？"}])
        return found | {
            "endless": sum(self._endless) / len(self._endless),
            "tokens_per_s": alone.tokens_per_s,
        }

    async def _bullets(self, *, unaided: bool = False) -> dict[str, float]:
        """Requests of the 要約 view; `unaided`: without the grammar that holds the form."""
        settings = SummarySettings()
        lessons = [self._lesson("summary") for _ in range(self._num)]
        grammar = "" if unaided else bullet_grammar(limits_of(settings))
        answers = await asyncio.gather(
            *(self._ask(lesson[:-1], grammar, 100) for lesson in lessons)
        )
        right, shares = 0, []
        for lesson, answer in zip(lessons, answers, strict=True):
            lines = answer.text.split("\n")
            right += len(lines) == 1 and lines[0].startswith("・")
            shares += [containment(line.lstrip("・"), lesson[0]["content"]) for line in lines]
        name = "_unaided" if unaided else ""
        return {
            f"bullets_as_asked{name}": right / len(lessons),
            f"bullets_contained{name}": sum(s >= CONTAINED for s in shares) / len(shares),
        }

    async def _answers(self, *, unaided: bool = False) -> dict[str, float]:
        """Questions about three passages, one of which answers, or none.

        As the app asks this model: it can only quote. `unaided`: it finds the sentence itself.
        """
        ask = self._ask_for_text if unaided else self._ask_for_quote
        teach = self._teacher.passages_and_question
        answered = [teach(3, True) for _ in range(self._num)]
        others = [teach(3, False) for _ in range(self._num)]
        answers = await asyncio.gather(*(ask(p, q.text) for p, q, _ in answered))
        silent = await asyncio.gather(*(ask(p, q.text) for p, q, _ in others))
        found = cited = 0
        for (_, question, number), text in zip(answered, answers, strict=True):
            found += containment(question.sentence, text) >= CONTAINED
            cited += text.endswith(f"[{number}]")
        name = "_unaided" if unaided else ""
        return {
            f"answering_sentence_found{name}": found / self._num,
            f"cited_rightly{name}": cited / self._num,
            f"abstains{name}": sum(text == ABSTAIN for text in silent) / self._num,
        }

    async def _ask_for_text(self, passages: Sequence[tuple[str, str]], question: str) -> str:
        return (await self._ask(ask_messages(passages, question))).text

    async def _ask_for_quote(self, passages: Sequence[tuple[str, str]], question: str) -> str:
        numbered = [
            NumberedPassage(number, "", title, "", 0, Span(1, 0, 1, len(text)), text, 1.0, 1.0)
            for number, (title, text) in enumerate(passages, 1)
        ]
        quotes = best_quotes(question, numbered)
        if not quotes:
            return ABSTAIN  # the app asks no model then
        messages = ask_messages(passages, question)
        return (await self._ask(messages, quotes_grammar(quotes))).text

    async def _openings(self) -> dict[str, float]:
        asked = [(text, topic) for topic in topics() for text in topic.ask]
        answers = await asyncio.gather(
            *(self._ask([{"role": "user", "content": text}]) for text, _ in asked)
        )
        right = 0
        for (text, topic), answer in zip(asked, answers, strict=True):
            is_right = any(part in answer.text for part in topic.fits)
            right += is_right
            if not is_right:
                print(f"  {topic.name}: {text} → {answer.text}", file=sys.stderr)
        return {"fitting_replies": right / len(asked)}

    def _lesson(self, kind: str) -> Messages:
        return next(self._teacher.lessons([(kind, 1.0)]))

    async def _ask(self, messages: Messages, grammar: str = "", max_tokens: int = 400) -> Answer:
        sampling: dict[str, Any] = {"temperature": 0.0, "max_tokens": max_tokens}
        if grammar:
            sampling["grammar"] = grammar
        text, last = "", None
        async with self._gate:
            events = self._completions.run(Ask(messages=tuple(messages), sampling=sampling))
            async with aclosing(events):
                async for event in events:
                    if isinstance(event, Piece):
                        text += event.text
                        last = event
        assert last and last.usage
        is_endless = last.finish_reason == "length" and not grammar
        self._endless.append(is_endless)
        return Answer(text, is_endless, last.usage.tokens_per_s)


def containment(text: str, source: str) -> float:
    """The share of `text` that lies in runs of MIN_SHARED or more characters of `source`."""
    text, source = text.rstrip("。"), source
    covered = [False] * len(text)
    for start in range(len(text) - MIN_SHARED + 1):
        if text[start : start + MIN_SHARED] in source:
            covered[start : start + MIN_SHARED] = [True] * MIN_SHARED
    return sum(covered) / len(text) if text else 0.0


async def examine(model: Path, corpus: Corpus, num: int, threads: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(model, Path(folder) / "examined.gguf")
        settings = Settings(
            models_dir=Path(folder), model="examined", n_ctx=4096 * PARALLEL, n_threads=threads
        )
        pool = EnginePool(Catalog(Path(folder), Path(folder)), settings)
        try:
            return await Examiner(Completions(pool), corpus, num).figures()
        finally:
            await pool.close()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=DEFAULT_PATH)
    parser.add_argument("--num", type=int, default=100)
    parser.add_argument("--threads", type=int, default=0, help="0 = one for each core")
    options = parser.parse_args(arguments)
    try:
        _, held_out = load(options.corpus)
        figures = asyncio.run(examine(options.model, held_out, options.num, options.threads))
    except (CorpusError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    except AppError as error:
        print(f"evaluate: {error.message(Language.EN)}", file=sys.stderr)
        return 2
    for name, value in figures.items():
        print(f"{name:28} {value:8.3f}   wanted {WANTED[name]}")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
