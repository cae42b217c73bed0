"""The source panel as plain values: a page of a document, with the place of a passage on it.

Knows nothing about Gradio; every text that came from a file is a plain string.
"""

from typing import Any

from webui.documents.extracted import parts_of
from webui.documents.library import Library
from webui.errors import AppError
from webui.storage import Document, Documents, NotFoundError
from webui.strings import Language, text
from webui.text.pages import Kind, Page, Span

AROUND = 4_000  # characters of a long page that are shown before and behind the passage
MAX_BOXES = 400
MAX_QUOTE_CHARS = 20_000
NO_SPAN = Span(0, 0, 0, 0)


def source_view(
    library: Library,
    documents: Documents,
    owner: str,
    document_id: str,
    number: int,
    language: Language,
    *,
    span: Span = NO_SPAN,
    quote: str = "",
) -> dict[str, Any]:
    """Page `number`, its text and picture, and where `span` stands there.

    A document that has gone is not an error here: its quotation is still worth reading.
    """
    try:
        document = documents.document(owner, document_id)
        page = library.page(owner, document_id, number)
    except NotFoundError:
        return {"is_gone": True, "sentence": text("documents_page.gone", language), "quote": quote}
    place = _place(page, span, quote)
    start, end = place or (0, 0)
    first = max(0, start - AROUND)
    last = min(len(page.text), max(end, first) + AROUND)
    has_paper = document.kind in (Kind.PDF, Kind.IMAGE)
    return {
        "is_gone": False,
        "document": document.id,
        "name": document.name,
        "page": page.number,
        "num_pages": document.num_pages,
        "has_pages": has_paper,
        "at": _label(page, place, language),
        "picture": picture_path(document, page.number) if has_paper else "",
        "ratio": page.height / page.width if page.width and page.height else 1.414,
        "boxes": _boxes(page, place),
        "text": page.text[first:last],
        "cut": [first > 0, last < len(page.text)],
        "place": [start - first, end - first] if place else None,
        "sentence": _sentence(page, span, place, quote, language),
        "is_recognised": page.is_recognised,
        "quote": quote,
    }


def picture_path(document: Document, number: int) -> str:
    """The picture's address; another one when the document was read anew."""
    return f"/documents/{document.id}/pages/{number}.png?v={int(document.updated_at)}"


def _place(page: Page, span: Span, quote: str) -> tuple[int, int] | None:
    """The passage's part on this page; looked for by its words where the page has changed."""
    place = span.on(page)
    if place is not None and place[0] < place[1] <= len(page.text):
        is_whole = span.page_from == span.page_to
        if not quote or not is_whole or page.text[slice(*place)] == quote:
            return place
    if quote and (found := page.text.find(quote)) >= 0:
        return found, found + len(quote)
    return None


def _label(page: Page, place: tuple[int, int] | None, language: Language) -> str:
    found = page.place_of(*place) if place else page.place
    return found.label(language) if found else ""


def _boxes(page: Page, place: tuple[int, int] | None) -> list[list[float]]:
    """Left, top, width and height as shares of the page."""
    if place is None or not page.width or not page.height:
        return []
    return [
        [
            round(left / page.width, 4),
            round(top / page.height, 4),
            round((right - left) / page.width, 4),
            round((bottom - top) / page.height, 4),
        ]
        for left, top, right, bottom in page.boxes(*place)[:MAX_BOXES]
    ]


def _sentence(
    page: Page, span: Span, place: tuple[int, int] | None, quote: str, language: Language
) -> str:
    if page.problem:
        return AppError("documents.pages_unreadable", pages=page.number).message(language)
    is_here = span.page_from <= page.number <= span.page_to
    if quote and is_here and place is None:
        return text("documents_page.changed", language)
    return next(parts_of([page])).remark(language)
