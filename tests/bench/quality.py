"""What summaries say, on real weights: ours against the same model's plain answer.

    python -m tests.bench.quality MODELS MODEL CORPUS [--articles 20] [--offset 3] [--bullets 6]

MODELS is a folder of GGUF files, MODEL a name in it, CORPUS JaQuAD's questions as JSON lines
(.xz or plain: title, context, qas). Articles of 1,500 to 5,000 characters are put together from
its contexts; temperature 0. `--plain FILE` keeps the plain answers, which take longest, between
runs. What is measured of each list of bullets is told at `Figures`. Prints every list, then one
JSON line.
"""

import argparse
import asyncio
import json
import lzma
import re
import statistics
import sys
import tempfile
import time
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tests.places import BUILTIN_DIR
from webui.config import Settings
from webui.engine.client import Delta, Engine
from webui.engine.pool import EnginePool
from webui.engine.request import SamplingParams
from webui.models import Catalog, ModelSpec
from webui.storage import Storage
from webui.strings import Language
from webui.tasks.formats import Formats
from webui.tasks.summarize.settings import SummarySettings
from webui.tasks.summarize.source import pasted
from webui.tasks.summarize.summarizer import Summarizer
from webui.text.language import chinese_in, is_in

CHARS = (1500, 5000)
N_CTX = 16384
PLAIN = "以下の内容を日本語で箇条書きを使って要約してください:\n\n{text}\n\n要約:"
PLAIN_TOKENS = 1200
DOUBLE = 0.6  # shared pairs of characters


@dataclass(frozen=True, slots=True)
class Article:
    title: str
    text: str
    questions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one list of bullets."""

    is_exact: bool
    is_japanese: bool  # every bullet, without characters that Japanese does not use
    quarters: int  # of the text, that hold the sentence most like a bullet
    has_last: bool  # the last quarter is among them
    num_doubles: int
    copied: float  # share that stands in the text word for word
    num_strange_numbers: int  # not in the text
    num_strange_names: int  # katakana and Latin words not in the text
    answers: int  # questions of the article whose answer stands in the bullets
    num_chars: int
    num_shortened: int
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=Path)
    parser.add_argument("model")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--articles", type=int, default=20)
    parser.add_argument("--offset", type=int, default=3, help="of the first article")
    parser.add_argument("--skip", type=int, default=0, help="of these articles, from the first on")
    parser.add_argument("--bullets", type=int, default=6)
    parser.add_argument("--plain", type=Path, help="keeps the plain answers")
    parser.add_argument("--no-plain", action="store_true", help="without plain answers")
    parser.add_argument("--quiet", action="store_true", help="figures only")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(_compare(options)), ensure_ascii=False))


def articles_of(corpus: Path, count: int, offset: int) -> list[Article]:
    """Spread evenly over the corpus; another offset gives others."""
    by_title: dict[str, list[dict[str, Any]]] = defaultdict(list)
    read = lzma.open if corpus.suffix == ".xz" else open
    with read(corpus, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            by_title[row["title"]].append(row)
    found = []
    for title, rows in by_title.items():
        text = "\n\n".join(row["context"] for row in rows)
        asked = [(qa["question"], qa["answers"][0]["text"]) for row in rows for qa in row["qas"]]
        if CHARS[0] <= len(text) <= CHARS[1]:
            found.append(Article(title, text, tuple(asked)))
    return found[offset :: max(1, len(found) // 20)][:count]


async def _compare(options: argparse.Namespace) -> dict[str, Any]:
    articles = articles_of(options.corpus, options.articles, options.offset)[options.skip :]
    kept = _kept(options.plain)
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(Path(folder) / "kajogaki.db")
        settings = replace(Settings(n_ctx=N_CTX), models_dir=options.models)
        pool = EnginePool(Catalog(options.models, BUILTIN_DIR), settings)
        spec = next(s for s in pool.models() if options.model in s.path.name.lower())
        summarizer = Summarizer(storage, pool, Formats(storage))
        ours, plain = [], []
        try:
            for article in articles:
                figures = await _ours(summarizer, spec, article, options)
                ours.append(figures)
                if options.no_plain:
                    continue
                if article.title not in kept:
                    async with pool.lease(spec.id) as engine:
                        kept[article.title] = await _plainly(engine, spec, article)
                    if options.plain:
                        options.plain.write_text(json.dumps(kept, ensure_ascii=False, indent=1))
                said = kept[article.title]
                bullets = _lines(said["text"])
                plain.append(figures_of(article, bullets, options.bullets, said["s"]))
                print("   plain", asdict(plain[-1]), file=sys.stderr, flush=True)
        finally:
            await pool.close()
            storage.close()
    return {
        "model": spec.name,
        "bullets": options.bullets,
        "ours": _sums(ours),
        **({"plain": _sums(plain), "density": _density(ours, plain)} if plain else {}),
    }


async def _ours(
    summarizer: Summarizer, spec: ModelSpec, article: Article, options: argparse.Namespace
) -> Figures:
    wanted = SummarySettings.parse({"num_bullets": options.bullets})
    began_at = time.perf_counter()
    run = summarizer.run("local", pasted(article.text), wanted, model_id=spec.id)
    last = [update async for update in run][-1]
    assert last.result is not None, last.error
    seconds = time.perf_counter() - began_at
    marks = [{flag.kind for flag in bullet.flags} for bullet in last.result.bullets]
    num_shortened = sum("shortened" in kinds for kinds in marks)
    texts = [bullet.text for bullet in last.result.bullets]
    figures = figures_of(article, texts, options.bullets, seconds, num_shortened)
    if not options.quiet:
        print(f"\n## {article.title} ({len(article.text)})")
        for bullet, kinds in zip(last.result.bullets, marks, strict=True):
            print("・" + bullet.text, *sorted(kinds))
        print(asdict(figures), last.result.timings, flush=True)
    return figures


async def _plainly(engine: Engine, spec: ModelSpec, article: Article) -> dict[str, Any]:
    assert engine.tokenizer is not None
    form = Formats().choice(spec, engine.tokenizer).format
    asked = [{"role": "user", "content": PLAIN.format(text=article.text)}]
    ids = tuple(engine.tokenizer.encode(form.render(asked)))
    sampling = SamplingParams(max_tokens=PLAIN_TOKENS, temperature=0)
    began_at, said = time.perf_counter(), ""
    async with aclosing(engine.generate(ids, sampling)) as events:
        async for event in events:
            said += event.text if isinstance(event, Delta) else ""
    return {"text": said, "s": round(time.perf_counter() - began_at, 1)}


def figures_of(
    article: Article,
    bullets: Sequence[str],
    wanted: int,
    seconds: float,
    num_shortened: int = 0,
) -> Figures:
    sentences = [s for s in re.split(r"(?<=[。！？])|\n", article.text) if s.strip()]
    starts, position = [], 0
    for sentence in sentences:
        position = article.text.index(sentence, position)
        starts.append(position + len(sentence) / 2)
        position += len(sentence)
    pairs = [_pairs(sentence) for sentence in sentences]
    reached = set()
    for bullet in bullets:
        own = _pairs(bullet)
        best = max(range(len(pairs)), key=lambda index: len(own & pairs[index]))
        reached.add(min(3, int(4 * starts[best] / len(article.text))))
    whole, bare = _normal(article.text), _bare(article.text)
    said = _normal("\n".join(bullets))
    numbers = re.findall(r"\d[\d,.]*\d|\d", said)
    names = re.findall(r"[ァ-ヺー]{3,}|[A-Za-z]{2,}", said)
    return Figures(
        len(bullets) == wanted,
        all(is_in(Language.JA, b) and not chinese_in(b, article.text) for b in bullets),
        len(reached),
        3 in reached,
        sum(_is_double(bullet, bullets[:index]) for index, bullet in enumerate(bullets)),
        sum(_bare(bullet) in bare for bullet in bullets) / max(1, len(bullets)),
        sum(number not in whole for number in numbers),
        sum(name not in whole for name in names),
        sum(_normal(answer) in said for _, answer in article.questions),
        sum(map(len, bullets)),
        num_shortened,
        seconds,
    )


def _kept(path: Path | None) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path and path.exists() else {}


def _lines(said: str) -> list[str]:
    """The bullets of a plain answer, whatever they begin with."""
    lines = (re.sub(r"^\s*(?:[-*・•]|\d+[.)．、])\s*", "", line) for line in said.split("\n"))
    return [line.strip() for line in lines if line.strip()]


def _sums(figures: Sequence[Figures]) -> dict[str, float]:
    """Means over the articles; counts in all where none is wanted."""
    counted = ("num_doubles", "num_strange_numbers", "num_strange_names", "num_shortened")
    values = {name: [getattr(one, name) for one in figures] for name in Figures.__slots__}
    means = {name: round(statistics.mean(map(float, given)), 3) for name, given in values.items()}
    counts = {name: sum(values[name]) for name in counted}
    density = round(100 * sum(values["answers"]) / max(1, sum(values["num_chars"])), 3)
    return {**means, **counts, "answers_per_100_chars": density, "articles": len(figures)}


def _density(ours: Sequence[Figures], plain: Sequence[Figures]) -> float:
    """How many times as many answers in as many characters."""
    mine, theirs = _sums(ours), _sums(plain)
    return round(mine["answers_per_100_chars"] / max(0.001, theirs["answers_per_100_chars"]), 2)


def _normal(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).lower()


def _bare(text: str) -> str:
    return re.sub(r"[\W_]", "", _normal(text))


def _pairs(text: str) -> set[str]:
    line = _normal(text)
    return {line[index : index + 2] for index in range(len(line) - 1)}


def _is_double(bullet: str, before: Sequence[str]) -> bool:
    own = _pairs(bullet)
    return any(len(own & (other := _pairs(b))) >= DOUBLE * len(own | other) for b in before)


if __name__ == "__main__":
    main()
