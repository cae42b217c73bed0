"""Measures the built-in embedder beside the application's own keyword index, and sets its weight.

    python -m training.embedder.evaluate --corpus DIR --choose      sets weight.toml
    python -m training.embedder.evaluate --squad FILE…              MRR@10 on SQuAD files

One JSON line for each: words alone, vectors alone, both. The choice sees articles of the training
data that were kept out of training: their questions as they are, and with words replaced by others
of the same meaning.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from training.embedder.corpus import TrainingError, read_corpus
from training.embedder.dictionary import DictionaryError, alternatives, read_entries
from training.embedder.train import Swapper
from webui.documents.search.embedding import WEIGHT_FILE, Weight, weight_of
from webui.documents.search.retriever import NUM_CANDIDATES, coverage, mixed
from webui.storage import ChunkRow, KeywordHits, Storage

MODEL_DIR = Path(__file__).parents[2] / "models" / "builtin-embedder"
OWNER = "evaluation"


@dataclass(frozen=True, slots=True)
class Case:
    """A question, what each search found for it, and the number of the right paragraph."""

    hits: KeywordHits
    vectors: dict[int, float]
    right: int


class Collection:
    """Paragraphs in a database of their own, with their vectors."""

    def __init__(self, model: Any, paragraphs: Sequence[tuple[str, str]], folder: str) -> None:
        self._model = model
        self._storage = Storage(Path(folder) / "evaluation.db")
        documents = self._storage.documents
        where = documents.create_collection(OWNER, "all").id
        document, _ = documents.add_document(OWNER, where, "-", sha256="-", num_bytes=1)
        rows = [ChunkRow(1, 0, 1, len(text), title, text) for title, text in paragraphs]
        documents.save_content(OWNER, document.id, kind="txt", pages=[], chunks=rows)
        self._numbers = documents.chunk_numbers(OWNER)
        started = time.perf_counter()
        self._vectors = unit(model.encode([f"{title}\n{text}" for title, text in paragraphs]))
        self.embedded_per_s = len(paragraphs) / (time.perf_counter() - started)

    def cases(self, questions: Sequence[tuple[str, int]]) -> list[Case]:
        """For (question, index of the right paragraph)."""
        asked = unit(self._model.encode([text for text, _ in questions]))
        return [
            Case(self._hits(text), self._nearest(vector), self._numbers[right])
            for (text, right), vector in zip(questions, asked, strict=True)
        ]

    def close(self) -> None:
        self._storage.close()

    def _hits(self, question: str) -> KeywordHits:
        return self._storage.documents.search_keywords(OWNER, question, NUM_CANDIDATES)

    def _nearest(self, vector: Any) -> dict[int, float]:
        scores = self._vectors @ vector
        best = np.argsort(-scores)[:NUM_CANDIDATES]
        return {self._numbers[index]: float(scores[index]) for index in best}


def unit(vectors: Any) -> Any:
    rows = np.asarray(vectors, dtype=np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def mrr(cases: Sequence[Case], weight: Weight | None) -> float:
    """At 10; `weight` None: vectors alone."""
    return float(np.mean([_reciprocal(case, weight) for case in cases]))


def _reciprocal(case: Case, weight: Weight | None) -> float:
    if weight is None:
        scores = case.vectors
    else:
        share = weight.at(coverage(case.hits))
        scores = mixed(case.hits.scores, case.vectors if share else {}, share)
    best = sorted(scores, key=lambda number: (-scores[number], number))[:10]
    return 1 / (best.index(case.right) + 1) if case.right in best else 0.0


def choose(plain: Sequence[Case], swapped: Sequence[Case]) -> Weight:
    """Every ordinary question is left to the words, as its coverage is never less than the least of
    `plain`; vectors count in full where nearly all questions with words replaced have more. How
    much that is: what helps those most."""
    suffice = min(coverage(case.hits) for case in plain)
    fail = float(np.percentile([coverage(case.hits) for case in swapped], 2))
    if fail >= suffice:
        return Weight(0.0, 0.0)
    weights = [
        Weight(0.0, most / 10, _rounded_down(suffice), _rounded_down(fail)) for most in range(9)
    ]
    return max(weights, key=lambda weight: mrr(swapped, weight))


def _rounded_down(value: float) -> float:
    return int(value * 1000) / 1000


def figures(cases: Sequence[Case], weight: Weight) -> dict[str, float]:
    """MRR@10 of words alone, vectors alone, both."""
    kinds = {"keywords": Weight(0.0, 0.0), "dense": None, "mix": weight}
    return {name: round(mrr(cases, kind), 4) for name, kind in kinds.items()}


def read_squad(path: Path) -> tuple[list[tuple[str, str]], list[tuple[str, int]]]:
    paragraphs: list[tuple[str, str]] = []
    questions: list[tuple[str, int]] = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            title, mark, text = paragraph["context"].partition(" [SEP] ")
            questions += ((qa["question"], len(paragraphs)) for qa in paragraph["qas"])
            paragraphs.append((title, text) if mark else (article.get("title") or "-", title))
    return paragraphs, questions


def run_choice(model: Any, corpus_folder: Path, edict: Path) -> None:
    corpus, entries = read_corpus(corpus_folder), read_entries(edict)
    held_out = [index for index, is_out in enumerate(corpus.is_held_out) if is_out]
    place = {index: number for number, index in enumerate(held_out)}
    paragraphs = [corpus.paragraphs[index].split("\n", 1) for index in held_out]
    asked = [(q.text, place[q.paragraph]) for q in corpus.questions if q.paragraph in place]
    if not asked:
        raise TrainingError("this corpus has no questions that are held out")
    swap = Swapper(model.tokenizer, alternatives(entries), 7)
    with tempfile.TemporaryDirectory() as folder:
        collection = Collection(model, [(title, text) for title, text in paragraphs], folder)
        plain = collection.cases(asked)
        swapped = collection.cases([(swap(text, 0.8), right) for text, right in asked])
        collection.close()
    weight = choose(plain, swapped)
    lines = "".join(f"{name} = {value}\n" for name, value in asdict(weight).items())
    temporary = MODEL_DIR / f"{WEIGHT_FILE}.new"
    temporary.write_text(lines, encoding="utf-8")
    os.replace(temporary, MODEL_DIR / WEIGHT_FILE)
    shown = {
        "weight": asdict(weight),
        "held out": figures(plain, weight),
        "held out, words replaced": figures(swapped, weight),
    }
    print(json.dumps(shown), flush=True)


def run_squad(model: Any, path: Path) -> None:
    paragraphs, questions = read_squad(path)
    with tempfile.TemporaryDirectory() as folder:
        collection = Collection(model, paragraphs, folder)
        cases = collection.cases(questions)
        collection.close()
    shown = {"file": path.name, "questions": len(questions), **figures(cases, weight_of(MODEL_DIR))}
    print(json.dumps({**shown, "embedded_per_s": round(collection.embedded_per_s)}), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--edict", type=Path, default=Path("/usr/share/edict/edict"))
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--squad", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    try:
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(MODEL_DIR), device="cpu")
        if options.choose:
            if options.corpus is None:
                raise TrainingError("--choose needs --corpus")
            run_choice(model, options.corpus, options.edict)
        for path in options.squad:
            run_squad(model, path)
    except (TrainingError, DictionaryError, OSError, ImportError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
