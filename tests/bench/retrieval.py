"""How well passages are found: MRR and recall on any SQuAD-format file, and speed with many chunks.

    python -m tests.bench.retrieval --squad FILE [--embedder FOLDER] [--chunks N]

Paragraphs: each distinct paragraph is one chunk under its article's title; a question counts 1/rank
of its own paragraph. Articles: the paragraphs of one title are one text, cut by our splitter; does
the answer stand inside the first 2,000 characters of what is found? --chunks N fills the index up
with shuffled sentences first and measures searches. One JSON line last.
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

from webui.documents.embedding import EmbedderChoice, Embedding
from webui.documents.pages import Page
from webui.documents.retriever import Retriever
from webui.documents.splitter import Source, chunks, sentence_ranges, split
from webui.storage import ChunkRow, Documents, Storage

OWNER = "bench"
CONTEXT_CHARS = 2000


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
    data = json.loads(path.read_text(encoding="utf-8"))["data"]
    articles: list[Article] = []
    questions: list[Question] = []
    for number, entry in enumerate(data):
        title, text = str(entry.get("title", "")), ""
        paragraphs: list[str] = []
        for paragraph in entry["paragraphs"]:
            context = paragraph["context"]
            head, mark, body = context.partition(" [SEP] ")  # JSQuAD's way to say the title
            if not mark:
                head, body = title, context
            title = head or title
            offset = len(text) - (len(context) - len(body))
            for qa in paragraph["qas"]:
                answers = qa["answers"] or [{"answer_start": -1, "text": ""}]
                in_title = int(answers[0]["answer_start"]) < len(context) - len(body)
                start = -1 if in_title else int(answers[0]["answer_start"]) + offset
                end = start + len(answers[0]["text"])
                questions.append(Question(qa["question"], number, body, start, end))
            if body not in paragraphs:
                paragraphs.append(body)
            text += body + "\n"
        articles.append(Article(title, paragraphs, text))
    return articles, questions


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
    return {f"answer_in_{CONTEXT_CHARS}": round(statistics.mean(hits), 4)}


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
        "build_s": round(build_s, 1),
        "search_p50_ms": round(statistics.median(times) * 1000, 1),
        "search_p95_ms": round(sorted(times)[int(0.95 * len(times))] * 1000, 1),
        "add_100_chunks_ms": round(add_s * 1000, 1),
    }


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
    parser.add_argument("--embedder", type=Path)
    parser.add_argument("--chunks", type=int, default=0)
    options = parser.parse_args()
    random.seed(1)
    articles, questions = read_squad(options.squad)
    choice = EmbedderChoice(options.embedder, "bench") if options.embedder else None
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
