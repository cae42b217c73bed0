"""How well passages are found: MRR and recall on any SQuAD-format file, and speed with many chunks.

    python -m tests.bench.retrieval --squad FILE [--embedder FOLDER | --no-embedder] [--chunks N]

Paragraphs: each distinct paragraph is one chunk under its article's title; a question counts 1/rank
of its own paragraph; with keywords alone, and mixed with the embedder (the built-in one unless
another is named). Articles: the paragraphs of one title are one text, cut by our splitter; does the
answer stand inside the first 2,000 characters of what is found? Speed: searches among N chunks
(100,000; 0: none) of the file's sentences, shuffled, and among as many vectors. One JSON line last.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from tests.places import ROOT
from webui.documents.search.embedding import EmbedderChoice, Embedding, Weight, weight_of
from webui.documents.search.retriever import Retriever
from webui.documents.search.vectors import FaissStore
from webui.storage import ChunkRow, Documents, Storage, VectorRow
from webui.text.pages import Page
from webui.text.splitter import Source, chunks, sentence_ranges, split

OWNER = "bench"
CONTEXT_CHARS = 2000
BUILTIN = ROOT / "models" / "builtin-embedder"


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    article: int
    paragraph: str
    answer_start: int  # in the article's text
    answer_end: int


@dataclass(frozen=True, slots=True)
class Article:
    title: str
    paragraphs: list[str]
    text: str


def read_squad(path: Path) -> tuple[list[Article], list[Question]]:
    data = json.loads(path.read_text(encoding="utf-8"))
    articles: list[Article] = []
    questions: list[Question] = []
    for number, entry in enumerate(data if isinstance(data, list) else data["data"]):
        title, text = str(entry.get("title") or ""), ""
        paragraphs: list[str] = []
        for paragraph in entry["paragraphs"]:
            context = str(paragraph["context"])
            head, mark, body = context.partition(" [SEP] ")  # JSQuAD's way to say the title
            if not mark:
                head, body = title, context
            title = head or title
            num_before = len(context) - len(body)
            for qa in paragraph.get("qas", ()):
                start, end = answer_range(qa, num_before, len(text))
                questions.append(Question(str(qa["question"]), number, body, start, end))
            if body not in paragraphs:
                paragraphs.append(body)
            text += body + "\n"
        articles.append(Article(title, paragraphs, text))
    return articles, questions


def answer_range(qa: dict[str, Any], num_before: int, offset: int) -> tuple[int, int]:
    """Where the first answer stands in the article's text; (-1, -1): nowhere in it."""
    for answer in qa.get("answers") or ():
        start = int(answer.get("answer_start", -1)) - num_before
        if start >= 0 and answer.get("text"):
            return start + offset, start + offset + len(answer["text"])
    return -1, -1


def add(documents: Documents, where: str, name: str, rows: list[ChunkRow]) -> str:
    document, _ = documents.add_document(
        OWNER, where, name, sha256=f"{random.random()}", num_bytes=1
    )
    documents.save_content(OWNER, document.id, kind="txt", pages=[], chunks=rows)
    return document.id


def row(text: str, title: str = "", start: int = 0) -> ChunkRow:
    return ChunkRow(1, start, 1, start + len(text), title, text)


def mrr(retriever: Retriever, questions: list[Question]) -> dict[str, float]:
    ranks = []
    for question in questions:
        texts = [p.text for p in retriever.search(OWNER, question.text, 10).passages]
        ranks.append(texts.index(question.paragraph) + 1 if question.paragraph in texts else 0)
    return {
        "mrr_10": round(statistics.mean(1 / rank if rank else 0.0 for rank in ranks), 4),
        "recall_1": round(statistics.mean(rank == 1 for rank in ranks), 4),
        "recall_10": round(statistics.mean(rank > 0 for rank in ranks), 4),
    }


def answers_in_context(
    retriever: Retriever, questions: list[Question], ids: list[str]
) -> dict[str, float]:
    hits = []
    for question in questions:
        if question.answer_start < 0 or question.answer_end <= question.answer_start:
            continue
        num_chars, hit = 0, False
        for passage in retriever.search(OWNER, question.text, 20).passages:
            num_chars += len(passage.text)
            if num_chars > CONTEXT_CHARS:
                break
            hit |= (
                passage.document_id == ids[question.article]
                and passage.span.char_from <= question.answer_start
                and question.answer_end <= passage.span.char_to
            )
        hits.append(hit)
    return {f"answer_in_{CONTEXT_CHARS}": round(statistics.mean(hits), 4)} if hits else {}


def embed_all(embedding: Embedding) -> float:
    """Chunks a second, the model's loading left out."""
    embedding.process.ready()
    start = time.perf_counter()
    embedding.run(lambda: False, lambda: False, lambda done, total, started: None)
    return embedding.status().num_embedded / (time.perf_counter() - start)


def opened(folder: str) -> tuple[Storage, str]:
    storage = Storage(Path(folder) / "bench.db")
    return storage, storage.documents.create_collection(OWNER, "bench").id


def bench_paragraphs(
    articles: list[Article], questions: list[Question], choice: EmbedderChoice | None
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        storage, where = opened(folder)
        for article in articles:
            add(storage.documents, where, article.title, [row(p) for p in article.paragraphs])
        figures: dict[str, Any] = {"keywords": mrr(Retriever(storage.documents), questions)}
        if choice:
            embedding = Embedding(storage.documents, choice)
            figures["embedded_per_s"] = round(embed_all(embedding))
            figures["mixed"] = mrr(Retriever(storage.documents, embedding), questions)
            embedding.stop()
        storage.close()
    return figures


def bench_articles(articles: list[Article], questions: list[Question]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        storage, where = opened(folder)
        ids = []
        for article in articles:
            source = Source([Page(1, article.text)])
            rows = [
                row(chunk.text, chunk.title, chunk.span.char_from)
                for chunk in chunks(split(source), source)
            ]
            ids.append(add(storage.documents, where, article.title, rows))
        figures = answers_in_context(Retriever(storage.documents), questions, ids)
        storage.close()
    return figures


def bench_speed(
    articles: list[Article], questions: list[Question], num_chunks: int
) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        storage, where = opened(folder)
        start = time.perf_counter()
        for number, rows in enumerate(shuffled(articles, num_chunks)):
            add(storage.documents, where, f"{number}", rows)
        build_s = time.perf_counter() - start
        times = []
        retriever = Retriever(storage.documents)
        for question in random.sample(questions, min(100, len(questions))):
            start = time.perf_counter()
            retriever.search(OWNER, question.text)
            times.append(time.perf_counter() - start)
        start = time.perf_counter()
        add(storage.documents, where, "one more", [row("追加した文章。" * 20)] * 100)
        add_s = time.perf_counter() - start
        storage.close()
    return {
        "num_chunks": num_chunks,
        "vectors_p50_ms": round(vectors_p50_s(num_chunks) * 1000, 1),
        "build_s": round(build_s, 1),
        "search_p50_ms": round(statistics.median(times) * 1000, 1),
        "search_p95_ms": round(sorted(times)[int(0.95 * len(times))] * 1000, 1),
        "add_100_chunks_ms": round(add_s * 1000, 1),
    }


def vectors_p50_s(count: int) -> float:
    """A search among as many random vectors of 256 dimensions."""
    chance = numpy.random.default_rng(1)
    store = FaissStore(256)
    for first in range(1, count + 1, 10_000):
        points = chance.standard_normal((min(10_000, count + 1 - first), 256))
        points /= numpy.linalg.norm(points, axis=1, keepdims=True)
        rows = points.astype("<f2")
        store.add([VectorRow(n, "d", row.tobytes()) for n, row in enumerate(rows, start=first)])
    times = []
    for _ in range(50):
        query = chance.standard_normal(256).astype("<f2").tobytes()
        start = time.perf_counter()
        store.search(query, 100)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def shuffled(articles: list[Article], num_chunks: int) -> Iterator[list[ChunkRow]]:
    """Documents of 1,000 chunks made of random sentences."""
    texts = [text for article in articles for text in article.paragraphs]
    sentences = [t[a:b] for t in texts for a, b in sentence_ranges(t) if b - a > 8]
    for first in range(0, num_chunks, 1000):
        count = min(1000, num_chunks - first)
        yield [row("".join(random.sample(sentences, 5))[:330]) for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--squad", type=Path, required=True)
    parser.add_argument("--embedder", type=Path, default=BUILTIN)
    parser.add_argument("--no-embedder", action="store_true")
    parser.add_argument("--chunks", type=int, default=100_000)
    options = parser.parse_args()
    random.seed(1)
    articles, questions = read_squad(options.squad)
    choice = None
    if not options.no_embedder:
        is_builtin = options.embedder == BUILTIN
        weight = weight_of(BUILTIN) if is_builtin else Weight()
        choice = EmbedderChoice(options.embedder, "bench", weight, is_builtin)
    figures: dict[str, Any] = {"questions": len(questions)}
    figures |= bench_paragraphs(articles, questions, choice)
    print(json.dumps(figures), flush=True)
    figures |= bench_articles(articles, questions)
    print(json.dumps(figures), flush=True)
    if options.chunks:
        figures |= bench_speed(articles, questions, options.chunks)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
