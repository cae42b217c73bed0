"""The tests of collections that readers have started: one at a time for each, in a thread.

A test belongs to the server, not to a browser tab. Knows nothing about Gradio.
"""

import contextlib
import logging
import threading
from dataclasses import dataclass, field
from typing import Any

from webui.documents.library import Library
from webui.documents.search.retriever import Passage
from webui.documents.trust import CollectionTest, Miss
from webui.errors import AppError
from webui.strings import Language, text

MAX_KEPT = 200  # readers whose last result is remembered
SHOWN_CHARS = 160  # of a passage that was found instead

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Run:
    collection_id: str
    thread: threading.Thread | None = None
    last: CollectionTest | None = None
    problem: AppError | None = None
    has_failed: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def is_running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


class CollectionTests:
    def __init__(self, library: Library) -> None:
        self._library = library
        self._runs: dict[str, _Run] = {}

    def start(self, owner: str, collection_id: str) -> None:
        """Nothing while one of the reader's runs."""
        old = self._runs.pop(owner, None)
        if old and old.is_running:
            self._runs[owner] = old
            return
        run = self._runs[owner] = _Run(collection_id)
        run.thread = threading.Thread(target=self._run, args=(owner, run), daemon=True)
        run.thread.start()
        idle = [name for name, other in self._runs.items() if not other.is_running]
        for name in idle[: max(0, len(self._runs) - MAX_KEPT)]:
            del self._runs[name]

    def close(self, owner: str) -> None:
        """Stop it, or put its result away."""
        run = self._runs.pop(owner, None)
        if run:
            run.stop.set()

    def view(self, owner: str, collection_id: str, language: Language) -> dict[str, Any] | None:
        """How far the test of this collection is, or how it ended."""
        run = self._runs.get(owner)
        if run is None or run.collection_id != collection_id:
            return None
        problem = run.problem.message(language) if run.problem else ""
        if run.has_failed:
            problem = text("ui.unexpected", language)
        last = run.last
        return {
            "is_running": run.is_running,
            "problem": problem,
            "done": last.num_done if last else 0,
            "total": last.num_total if last else 0,
            "recall": [[rank, share] for rank, share in last.recall.items()] if last else [],
            "used_vectors": last.used_vectors if last else False,
            "misses": [_miss_view(miss) for miss in last.misses] if last else [],
        }

    def _run(self, owner: str, run: _Run) -> None:
        try:
            snapshots = self._library.test_collection(owner, run.collection_id)
            with contextlib.closing(snapshots):  # type: ignore[type-var]  # a generator
                for run.last in snapshots:
                    if run.stop.is_set():
                        return
        except AppError as error:
            run.problem = error
        except Exception:
            log.exception("the test of a collection failed")
            run.has_failed = True


def _miss_view(miss: Miss) -> dict[str, Any]:
    return {
        "question": miss.question,
        "sentence": miss.sentence,
        "name": miss.document_name,
        "page": miss.page,
        "found": [_found_view(passage) for passage in miss.found],
    }


def _found_view(passage: Passage) -> dict[str, Any]:
    span = passage.span
    return {
        "document": passage.document_id,
        "name": passage.document_name,
        "page": span.page_from,
        "span": [span.page_from, span.char_from, span.page_to, span.char_to],
        "text": passage.text[:SHOWN_CHARS],
    }
