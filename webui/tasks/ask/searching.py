"""The search before an answer: among which documents, what was found, is any of it relevant.

Knows the library; knows nothing about models or prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from webui.documents.library import Library
from webui.documents.search.retriever import Found, Passage
from webui.errors import AppError
from webui.storage import Document, DocumentChoice, Documents, DocumentStatus, NotFoundError
from webui.strings import Language, text
from webui.tasks.ask.relevance import QuestionWords
from webui.tasks.ask.result import NumberedPassage
from webui.text.pages import Kind, Span
from webui.text.places import Place
from webui.text.splitter import Source

MAX_FOUND = 20
MIN_RELEVANCE = 0.25  # by words; see docs/decisions/0060
MAX_QUESTION_CHARS = 2_000  # searched for; the model reads all of it


class AskError(AppError):
    """There is nothing that the question could be answered from."""


@dataclass(frozen=True, slots=True)
class Searched:
    """The passages are numbered as they rank; the best one comes first."""

    question: str
    passages: tuple[NumberedPassage, ...] = ()
    is_relevant: bool = False
    used_vectors: bool = False
    notices: tuple[str, ...] = field(default=())


class Searcher:
    """Blocking; call it in a thread."""

    def __init__(self, library: Library, documents: Documents) -> None:
        self._library = library
        self._documents = documents

    def search(
        self,
        owner: str,
        question: str,
        choice: DocumentChoice,
        language: Language,
        *,
        search_for: str = "",
    ) -> Searched:
        """The best passages for `question`; `search_for`: other words to find them by.

        Raises AskError when there is no document to search in.
        """
        among, notices = self._among(owner, choice, language)
        wanted = (search_for or question)[:MAX_QUESTION_CHARS]
        found = self._library.search(owner, wanted, MAX_FOUND, among)
        if found.problem is not None:
            notices.append(found.problem.message(language))
        words = QuestionWords(wanted)
        if words.is_empty:
            notices.append(text("ask.names_nothing", language))
        passages = self._numbered(owner, found.passages, words)
        least = MIN_RELEVANCE if self._goes_by_words(found) else 0.0
        is_relevant = any(passage.relevance >= least for passage in passages)
        return Searched(question, passages, is_relevant, found.used_vectors, tuple(notices))

    def _goes_by_words(self, found: Found) -> bool:
        """Not where an embedder of the user's choice has found other words of the same meaning.

        How near is near differs from one to the next; then the answering model has to say it.
        """
        return not found.used_vectors or self._library.embedder_status().is_builtin

    def place(self, owner: str, passage: NumberedPassage, start: int, end: int) -> Span:
        """Where characters [start, end) of a passage's text stand in its document."""
        span = passage.span
        if span.page_from == span.page_to:
            first = span.char_from
            return Span(span.page_from, first + start, span.page_to, first + end)
        try:
            numbers = range(span.page_from, span.page_to + 1)
            pages = [self._library.page(owner, passage.document_id, n) for n in numbers]
        except NotFoundError:  # removed meanwhile
            return span
        return Source(pages).span(span.char_from + start, span.char_from + end)

    def where(self, owner: str, document_id: str, span: Span) -> Place | None:
        """Sheet and cells, slide, heading…; None where there are pages, or nothing any more."""
        try:
            return self._library.place(owner, document_id, span)
        except NotFoundError:  # removed meanwhile
            return None

    def _among(
        self, owner: str, choice: DocumentChoice, language: Language
    ) -> tuple[list[str] | None, list[str]]:
        """Ids of the chosen documents, None for all; and what to say about them."""
        chosen = self._chosen(owner, choice)
        if not chosen:
            raise AskError("ask.no_documents" if choice.is_everything else "ask.choice_gone")
        num_unread = sum(document.status is not DocumentStatus.READY for document in chosen)
        if num_unread == len(chosen):
            raise AskError("ask.not_read_yet", n=num_unread)
        notices = [text("ask.some_unread", language, n=num_unread)] if num_unread else []
        return None if choice.is_everything else [item.id for item in chosen], notices

    def _chosen(self, owner: str, choice: DocumentChoice) -> list[Document]:
        everything = self._documents.documents(owner)
        if choice.is_everything:
            return everything
        ids, collections = set(choice.document_ids), set(choice.collection_ids)
        return [d for d in everything if d.id in ids or d.collection_id in collections]

    def _numbered(
        self, owner: str, found: Sequence[Passage], words: QuestionWords
    ) -> tuple[NumberedPassage, ...]:
        paged = {id for id in {p.document_id for p in found} if self._has_pages(owner, id)}
        return tuple(
            NumberedPassage(
                number,
                passage.document_id,
                passage.document_name,
                passage.title,
                passage.span.page_from if passage.document_id in paged else 0,
                passage.span,
                passage.text,
                passage.score,
                round(
                    words.share_in(f"{passage.document_name}\n{passage.title}\n{passage.text}"), 3
                ),
                self.where(owner, passage.document_id, passage.span),
            )
            for number, passage in enumerate(found, start=1)
        )

    def _has_pages(self, owner: str, document_id: str) -> bool:
        try:
            return self._documents.document(owner, document_id).kind == Kind.PDF
        except NotFoundError:  # removed meanwhile
            return False


def in_order_of(
    passages: Sequence[NumberedPassage], earlier: Sequence[NumberedPassage]
) -> tuple[NumberedPassage, ...]:
    """`passages`, those first that an earlier prompt began with, in its order; renumbered.

    The engine has read that beginning already and does not read it again.
    """
    by_place = {(p.document_id, p.span): p for p in passages}
    kept = []
    for old in earlier:
        same = by_place.pop((old.document_id, old.span), None)
        if same is None:
            break
        kept.append(same)
    order = [*kept, *by_place.values()]
    return tuple(replace(passage, number=n) for n, passage in enumerate(order, start=1))
