"""How good answers from documents are, with real weights: found, cited, abstained, how soon.

    python -m tests.bench.quality_ask --squad FILE --models FOLDER --model ID [--out FILE]
        [--questions 60] [--articles 20] [--unanswerable 20] [--held-out 12] [--embedder FOLDER]

Every article is a file; `held-out` of them are not in the index, and the unanswerable questions are
theirs. The same seed asks the same questions, whatever the model. `contained`: one of the given
answers stands in the text. `cited`: the quotation of a citation, or the passage that it is from,
holds one of them and is of the right file. One JSON line for every answer goes to `--out`, so that
a person can read them; one JSON line with the shares comes last.
"""

import argparse
import asyncio
import json
import random
import statistics
import time
import unicodedata
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.places import BUILTIN_DIR
from webui.config import Settings
from webui.engine.pool import EnginePool
from webui.models import Catalog
from webui.strings import Language
from webui.tasks.ask.asker import Asker
from webui.tasks.ask.inquiry import Asking
from webui.tasks.ask.result import Answer
from webui.tasks.ask.temporary import TemporaryLibrary
from webui.tasks.formats import Formats
from webui.text.language import is_in

SEED = 20


@dataclass(frozen=True, slots=True)
class Item:
    """One question; no `answers`: nothing in the index answers it."""

    question: str
    article: str
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    files: list[tuple[str, str]]  # name and text
    items: list[Item]


def sampled(path: Path, options: argparse.Namespace) -> Sample:
    """The same for the same numbers."""
    dice = random.Random(SEED)
    entries = json.loads(path.read_text(encoding="utf-8"))["data"]
    dice.shuffle(entries)
    hidden, shown = entries[: options.held_out], entries[options.held_out :]
    files = [(f"{entry['title']}.txt", _text_of(entry)) for entry in shown]
    asked = [entry for entry in shown if len(_questions(entry)) > 3][: options.articles]
    items = _spread(dice, asked, options.questions)
    others = [replace(item, answers=()) for item in _spread(dice, hidden, options.unanswerable)]
    return Sample(files, _mixed(items, others))


def _mixed(items: list[Item], others: list[Item]) -> list[Item]:
    """The others evenly among the items, so that a run that is stopped has some of both."""
    every = max(1, len(items) // max(1, len(others)))
    mixed: list[Item] = []
    for start in range(0, len(items), every):
        mixed += items[start : start + every]
        mixed += others[start // every : start // every + 1]
    return mixed + others[-(-len(items) // every) :]


def _spread(dice: random.Random, entries: Sequence[Any], count: int) -> list[Item]:
    """So many questions, as many of each article as of the others."""
    stacks = [_questions(entry) for entry in entries]
    for stack in stacks:
        dice.shuffle(stack)
    taken: list[Item] = []
    while len(taken) < count and any(stacks):
        taken += [stack.pop() for stack in stacks if stack][: count - len(taken)]
    return taken


def _text_of(entry: Any) -> str:
    return "\n\n".join(p["context"].partition(" [SEP] ")[2] for p in entry["paragraphs"])


def _questions(entry: Any) -> list[Item]:
    return [
        Item(qa["question"], entry["title"], tuple(answer["text"] for answer in qa["answers"]))
        for paragraph in entry["paragraphs"]
        for qa in paragraph["qas"]
    ]


def judged(item: Item, answer: Answer, **times: float) -> dict[str, Any]:
    """All that can be told without a person."""
    passages = {passage.number: passage for passage in answer.passages}
    file = f"{item.article}.txt"
    cited = any(
        citation.file == file and _has(passages[citation.number].text + citation.quote, item)
        for citation in answer.citations
    )
    return {
        "question": item.question,
        "answers": list(dict.fromkeys(item.answers)),
        "text": answer.text,
        "abstention": str(answer.abstention),
        "contained": _has(answer.text, item),
        "cited": cited,
        "given": any(p.file == file and _has(p.text, item) for p in answer.passages),
        "is_japanese": is_in(Language.JA, answer.text) or len(answer.text) < 16,
        "flags": [f"{flag.kind}:{flag.text}" for flag in answer.flags],
        "citations": [f"{c.number} {c.file}: {c.quote}" for c in answer.citations],
        "num_passages": len(answer.passages),
        **times,
    }


def _has(text: str, item: Item) -> bool:
    return any(_plain(answer) in _plain(text) for answer in item.answers)


def _plain(text: str) -> str:
    """Without width, case, spaces and marks of citations."""
    kept = unicodedata.normalize("NFKC", text).lower()
    return "".join(char for char in kept if char.isalnum())


def shares(answerable: Sequence[Any], unanswerable: Sequence[Any]) -> dict[str, Any]:
    """Of everything that was asked; `cited_of_contained` of the right answers alone."""
    right = [row for row in answerable if row["contained"]]
    flagged = [row for row in right if row["flags"]]
    firsts = [row["first_s"] for row in answerable if row["first_s"]]
    return {
        "asked": len(answerable),
        "contained": _share(answerable, "contained"),
        "cited": _share(answerable, "cited"),
        "cited_of_contained": _share(right, "cited"),
        "given": _share(answerable, "given"),
        "abstained_wrongly": _share(answerable, "abstention"),
        "false_flags": round(len(flagged) / max(1, len(right)), 3),
        "japanese": _share(answerable, "is_japanese"),
        "unanswerable": len(unanswerable),
        "abstained_rightly": _share(unanswerable, "abstention"),
        "prompt_tokens": round(statistics.mean(row["prompt_tokens"] for row in answerable)),
        "first_s": round(statistics.median(firsts), 2) if firsts else None,
        "total_s": round(statistics.median(row["total_s"] for row in answerable), 2),
    }


def _share(rows: Sequence[Any], name: str) -> float:
    return round(sum(bool(row[name]) for row in rows) / max(1, len(rows)), 3)


async def asked(asker: Asker, item: Item, model_id: str) -> dict[str, Any]:
    began_at, first_at, prompt_tokens = time.perf_counter(), 0.0, 0
    async with aclosing(asker.answer(Asking(item.question, model_id=model_id))) as updates:
        async for update in updates:
            if update.text and not update.answer and not first_at:
                first_at = time.perf_counter()
            prompt_tokens = update.num_prompt_tokens
    assert update.answer
    first_s = round(first_at - began_at, 2) if first_at else 0.0
    total_s = round(time.perf_counter() - began_at, 2)
    return judged(
        item, update.answer, first_s=first_s, total_s=total_s, prompt_tokens=prompt_tokens
    )


async def measured(
    options: argparse.Namespace, temporary: TemporaryLibrary, items: list[Item]
) -> list[Any]:
    settings = Settings(models_dir=options.models, n_slots=1, n_ctx=8192, model=options.model)
    pool = EnginePool(Catalog(options.models, BUILTIN_DIR), settings)
    rows = []
    try:
        async with pool.lease(options.model):
            pass  # loading is not what is measured
        asker = Asker(temporary.library, temporary.documents, pool, Formats())
        for item in items:
            rows.append(await asked(asker, item, options.model))
            line = json.dumps(rows[-1], ensure_ascii=False)
            print(line, file=options.out, flush=True)
    finally:
        await pool.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--squad", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True, help="folder of GGUF files")
    parser.add_argument("--model", required=True, help="id of the model")
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--articles", type=int, default=20)
    parser.add_argument("--unanswerable", type=int, default=20)
    parser.add_argument("--held-out", type=int, default=12)
    parser.add_argument("--out", type=argparse.FileType("w", encoding="utf-8"), default="-")
    options = parser.parse_args()
    sample = sampled(options.squad, options)
    with TemporaryLibrary() as temporary:
        temporary.add_texts(sample.files)
        rows = asyncio.run(measured(options, temporary, sample.items))
    answerable = [row for row in rows if row["answers"]]
    unanswerable = [row for row in rows if not row["answers"]]
    print(json.dumps(shares(answerable, unanswerable), ensure_ascii=False))


if __name__ == "__main__":
    main()
