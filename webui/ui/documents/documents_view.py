"""The 資料 view as plain values for the browser: collections, documents, progress, passages.

Knows nothing about Gradio; every text that came from a file is a plain string.
"""

import re
from datetime import datetime
from typing import Any

from webui.documents.errors import DocumentError
from webui.documents.extracted import parts_of
from webui.documents.library import Library
from webui.documents.progress import EVERYTHING, Progress
from webui.documents.reader.ocr import is_available
from webui.documents.search.embedding import EmbedderState, EmbedderStatus
from webui.documents.search.marks import Query
from webui.documents.search.retriever import Found, Passage
from webui.errors import AppError
from webui.storage import ChunkRow, Collection, Document, Documents, DocumentStatus, NotFoundError
from webui.strings import Language, table, text
from webui.text.kinds import SUFFIXES
from webui.text.pages import Kind, Page

SECTION = "documents_page."
MAX_EXTRACTED_CHARS = 100_000  # that are shown at once
NUM_SHOWN = 200  # documents; more on request
MAX_SHOWN = 10_000
NUM_FOUND = 12  # passages that are shown
NUM_NEAR = 5  # of them, without the words that were searched for
NUM_SEARCHED = 100
MAX_QUESTION_CHARS = 2_000
PASSWORD_PROBLEMS = ("documents.password_needed", "documents.password_wrong")
TRANSIENT_PROBLEMS = (  # another try may go better
    "documents.cancelled",
    "documents.too_slow",
    "documents.reader_died",
    "documents.cannot_store",
)
_MARKUP = re.compile(r"^\s*(?:#{1,6}\s+|>\s?|[-*+]\s+(?=\S))")
SCAN_PROBLEMS = ("documents.no_text", "documents.pages_unreadable")


def documents_view(
    library: Library,
    documents: Documents,
    owner: str,
    language: Language,
    collection_id: str,
    num_shown: int = NUM_SHOWN,
) -> dict[str, Any]:
    """Everything that the view shows of one collection, the first one when it is unknown."""
    collections = documents.collections(owner)
    chosen = next((one for one in collections if one.id == collection_id), None)
    chosen = chosen or (collections[0] if collections else None)
    moving = {item.document_id: item for item in library.progress(owner)}
    listed = documents.documents(owner, chosen.id) if chosen else []
    shown = listed[::-1][: max(1, min(num_shown, MAX_SHOWN))]
    embedding = {item.document_id: item for item in library.embedding_progress(shown[::-1])}
    return {
        "collections": [_collection_view(one) for one in collections],
        "collection": chosen.id if chosen else "",
        "documents": [
            _document_view(one, moving.get(one.id) or embedding.get(one.id), language)
            for one in shown
        ],
        "num_documents": len(listed),
        "num_elsewhere": len(set(moving) - {EVERYTHING, *(one.id for one in listed)}),
        "embedding": _progress_view(moving[EVERYTHING]) if EVERYTHING in moving else None,
        "is_moving": bool(moving),
        "can_recognise": is_available(),
        "embedder": _embedder_view(library.embedder_status(), language),
        "trouble": library.trouble.message(language) if library.trouble else "",
    }


def view_strings(language: Language) -> dict[str, str]:
    """The view's own sentences, by short name; with the endings of files that can be read."""
    return {"kinds": ",".join(SUFFIXES)} | {
        key.removeprefix(SECTION): texts[language]
        for key, texts in table().items()
        if key.startswith(SECTION)
    }


def found_view(
    library: Library, owner: str, found: Found, question: str, language: Language
) -> dict[str, Any]:
    """Passages with the question's words marked in them, then those that only come near.

    `num_hits` of all that was found have the words; the first of those are shown.
    """
    query = Query(question)
    hits = [p for p in found.passages if query.is_in(p.document_name, p.title, p.text)]
    others = [p for p in found.passages if p not in hits]
    hits_shown = hits[:NUM_FOUND]
    shown = hits_shown + others[: min(NUM_NEAR, NUM_FOUND - len(hits_shown))]
    return {
        "question": question,
        "num_hits": len(hits),
        "num_hits_shown": len(hits_shown),
        "is_all": len(hits) < NUM_SEARCHED,
        "passages": [
            _passage_view(passage, query, _place_label(library, owner, passage, language))
            for passage in shown
        ],
        "used_vectors": found.used_vectors,
        "problem": found.problem.message(language) if found.problem else "",
    }


def without_markup(passage: str, title: str) -> str:
    """A passage as it is read: no signs of Markdown, and its heading not a second time."""
    lines = [_MARKUP.sub("", line).replace("**", "").rstrip() for line in passage.splitlines()]
    while lines and (not lines[0] or lines[0] in (title, title.rpartition(" > ")[2])):
        lines.pop(0)
    return "\n".join(lines)


def extracted_view(
    library: Library, documents: Documents, owner: str, id: str, first: int, language: Language
) -> dict[str, Any]:
    """A document's text as it was read, from part `first` on, and where something is missing."""
    document = documents.document(owner, id)
    parts = list(parts_of(library.pages(owner, id)))
    shown: list[dict[str, Any]] = []
    num_chars = 0
    for part in parts[first:]:
        if num_chars > MAX_EXTRACTED_CHARS:
            break
        num_chars += len(part.text)
        shown.append(
            {"page": part.page, "at": part.label(language), "text": part.text,
             "is_missing": bool(part.problem), "remark": part.remark(language)}
        )  # fmt: skip
    key, values = document.problem or ("", {})
    return {
        "document": document.id,
        "name": document.name,
        "first": first,
        "parts": shown,
        "num_parts": len(parts),
        "problem": AppError(key, **values).message(language) if key else "",
    }


def chunks_view(
    library: Library, documents: Documents, owner: str, id: str, language: Language
) -> dict[str, Any]:
    """A document as it is indexed: what each chunk says, and which pages have a problem."""
    document = documents.document(owner, id)
    pages = documents.page_problems(owner, id)
    marks = {page.number: page for page in library.pages(owner, id) if page.places}
    return {
        "document": document.id,
        "name": document.name,
        "num_pages": document.num_pages,
        "pages": [
            {"page": number, "problem": problem, "is_recognised": seen}
            for number, problem, seen in pages
            if problem or seen
        ],
        "chunks": [
            {"page": row.page_from, "page_to": row.page_to, "title": row.title, "text": row.text,
             "at": _label_on(marks.get(row.page_from), row, language),
             "span": [row.page_from, row.char_from, row.page_to, row.char_to]}
            for row in documents.document_chunks(owner, id)
        ],
    }  # fmt: skip


def _label_on(page: Page | None, row: ChunkRow, language: Language) -> str:
    if page is None:
        return ""
    end = row.char_to if row.page_to == row.page_from else len(page.text)
    place = page.place_of(row.char_from, end)
    return place.label(language) if place else ""


def _embedder_view(status: EmbedderStatus, language: Language) -> dict[str, Any]:
    problems = [problem for problem in (status.problem, status.reranker_problem) if problem]
    is_missing = status.state is EmbedderState.READY and status.num_embedded < status.num_chunks
    return {
        "state": "incomplete" if is_missing else str(status.state),
        "name": text(f"{SECTION}builtin", language) if status.is_builtin else status.name,
        "num_embedded": status.num_embedded,
        "num_chunks": status.num_chunks,
        "other_models": list(status.other_models),
        "problem": " ".join(problem.message(language) for problem in problems),
    }


def _collection_view(one: Collection) -> dict[str, Any]:
    return {"id": one.id, "name": one.name, "num_documents": one.num_documents}


def _document_view(one: Document, progress: Progress | None, language: Language) -> dict[str, Any]:
    key = one.problem[0] if one.problem else ""
    return {
        "id": one.id,
        "name": one.name,
        "kind": one.kind,
        "num_bytes": one.num_bytes,
        "status": str(one.status),
        "problem": _sentence(one, language),
        "needs_password": key in PASSWORD_PROBLEMS,
        "is_scan": key in SCAN_PROBLEMS,
        "can_retry": one.status is DocumentStatus.FAILED and key in TRANSIENT_PROBLEMS,
        "num_pages": one.num_pages,
        "has_pages": one.kind == Kind.PDF,
        "num_chunks": one.num_chunks,
        "replaces": bool(one.replaces),
        "added": datetime.fromtimestamp(one.created_at).strftime("%Y-%m-%d %H:%M"),
        "progress": _progress_view(progress) if progress else None,
    }


def _sentence(one: Document, language: Language) -> str:
    if one.problem is None:
        return ""
    key, values = one.problem
    try:
        return DocumentError(key, **values).message(language)
    except (KeyError, ValueError):  # a sentence that this version no longer has
        return AppError("documents.damaged").message(language)


def _progress_view(progress: Progress) -> dict[str, Any]:
    return {
        "stage": progress.stage,
        "done": progress.num_done,
        "total": progress.num_total,
        "per_s": round(progress.per_s, 1),
        "eta_s": round(progress.eta_s, 1),
    }


def _place_label(library: Library, owner: str, passage: Passage, language: Language) -> str:
    """Where it stands in a kind without pages; "" else, and when it was removed meanwhile."""
    try:
        place = library.place(owner, passage.document_id, passage.span)
    except NotFoundError:
        return ""
    return place.label(language) if place else ""


def _passage_view(passage: Passage, query: Query, at: str) -> dict[str, Any]:
    span, shown = passage.span, without_markup(passage.text, passage.title)
    return {
        "document": passage.document_id,
        "name": passage.document_name,
        "page": span.page_from,
        "page_to": span.page_to,
        "at": at,
        "title": passage.title,
        "text": shown,
        "marks": query.marks(shown),
        "span": [span.page_from, span.char_from, span.page_to, span.char_to],
    }
