"""The search before an answer: among which documents, what was found, is any of it relevant.

A search always finds something, and its own scores depend on how much is in the index. What
compares everywhere is the share of a question's words that its best passage has
(docs/decisions/0061). Knows the library; knows nothing about models or prompts.
"""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace

from webui.documents.library import Library
from webui.documents.search.retriever import Found, Passage
from webui.errors import AppError
from webui.storage import Document, DocumentChoice, Documents, DocumentStatus, NotFoundError
from webui.strings import Language, text
from webui.tasks.ask.result import Citation, NumberedPassage
from webui.text.dates import days_in, without_days
from webui.text.features import features, normal
from webui.text.pages import Kind, Span
from webui.text.places import Place
from webui.text.splitter import Source

MAX_FOUND = 20
MIN_RELEVANCE = 0.5  # by words; see docs/decisions/0115
MAX_QUESTION_CHARS = 2_000  # searched for; the model reads all of it
MAX_NAMED = 3  # files in one sentence

# Words that ask, or speak of the documents as a whole: no passage has to have them.
_ASKING = re.compile(
    "何|誰|どこ|いつ|いくつ|いくら|どれ|どの|どんな|どう|なぜ|なに|だれ|どちら|ですか|ますか|でしょうか"
    "|ください|下さい|教えて|この資料|資料|文書|について|内容|要約|要点|概要|まとめ|説明"
    r"|\b(?:what|who|whom|whose|where|when|why|how|which|many|much|please|tell|explain|document"
    r"|documents|summary|summarize|summarise)\b",
    re.IGNORECASE,
)
_HIRAGANA = re.compile("[\u3041-\u309f]")
_SINGLE = re.compile("(?<![一-龠々ァ-ヶー])[一-龠々](?![一-龠々ァ-ヶー])")  # 働 in で働いている
_GAP = re.compile(r"(?<=[^\x00-\x7f])[ \u3000](?=[^\x00-\x7f])")  # 北野 みなと is one name


class AskError(AppError):
    """There is nothing that the question could be answered from."""


NEAR_BEST = 0.6  # of the best score: what scores less answers .007 of the questions, and costs half
MAX_BY_MEANING = 4


@dataclass(frozen=True, slots=True)
class Searched:
    """The passages are numbered as they rank; the best one comes first.

    `num_worth` of them are worth reading.
    """

    question: str
    passages: tuple[NumberedPassage, ...] = ()
    num_worth: int = 0
    is_relevant: bool = False
    used_vectors: bool = False
    notices: tuple[str, ...] = field(default=())


class QuestionWords:
    """What a question is about: its words, and its days in whatever form they are written.

    Of Japanese the pairs of kanji and of katakana, and single kanji; where a word ends and a
    particle begins (岡で) is grammar.
    """

    def __init__(self, question: str) -> None:
        plain = _ASKING.sub(" ", normal(without_days(question)))
        pairs = {pair for pair in features(plain) if not _HIRAGANA.search(pair)}
        self._days = days_in(question)
        self._single = frozenset(_SINGLE.findall(plain))
        self._features = pairs - self._single

    @property
    def is_empty(self) -> bool:
        """It names nothing that could be searched for."""
        return not (self._features or self._single or self._days)

    @property
    def spellings(self) -> str:
        """Other forms of its days: a file's name has its own."""
        return " ".join(form for day in self._days for form in day.spellings)

    def has_days(self) -> bool:
        return bool(self._days)

    def num_days_in(self, text: str) -> int:
        """How many of its days `text` speaks of."""
        said = days_in(text) if self._days else []
        return sum(any(day.is_said_by(other) for other in said) for day in self._days)

    def share_in(self, text: str) -> float:
        """0..1: how much of it `text` speaks of. A day counts like two words."""
        if self.is_empty:
            return 0.0
        found = _weight(self._features & (features(text) | features(_GAP.sub("", text))))
        plain = normal(text)
        found += sum(kanji in plain for kanji in self._single)
        total = _weight(self._features) + len(self._single) + 2 * len(self._days)
        return min(1.0, (found + 2 * self.num_days_in(text)) / total)


def _weight(words: Set[str]) -> int:
    """A Latin word counts as much as one of katakana of its length, which is pairs."""
    return sum(max(1, len(w) - 1) if w.isascii() and not w.isdigit() else 1 for w in words)


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
        names_failed: bool = True,
    ) -> Searched:
        """The best passages for `question`. `names_failed`: say which files cannot be read.

        Raises AskError when there is no document to search in.
        """
        among, notices = self._among(owner, choice, language, names_failed=names_failed)
        wanted = question[:MAX_QUESTION_CHARS]
        words = QuestionWords(wanted)
        found = self._library.search(owner, f"{wanted} {words.spellings}".strip(), MAX_FOUND, among)
        if found.problem is not None:
            notices.append(found.problem.message(language))
        if words.is_empty:
            notices.append(text("ask.names_nothing", language))
        passages = self._numbered(owner, found.passages, words)
        least = MIN_RELEVANCE if self._goes_by_words(found) else 0.0
        is_relevant = any(passage.relevance >= least for passage in passages)
        num_worth = _num_worth(passages, by_words=not found.used_vectors)
        return Searched(
            question, passages, num_worth, is_relevant, found.used_vectors, tuple(notices)
        )

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

    def citation(
        self,
        owner: str,
        at: tuple[int, int],
        passage: NumberedPassage,
        quoted: tuple[int, int],
        is_marked: bool,
        score: float,
    ) -> Citation:
        """Characters `at` of an answer rest on characters `quoted` of a passage's text."""
        span = self.place(owner, passage, *quoted)
        page = span.page_from if passage.page else 0
        return Citation(
            *at,
            passage.number,
            passage.document_id,
            passage.file,
            page,
            span,
            passage.text[slice(*quoted)],
            score,
            is_marked,
            self.where(owner, passage.document_id, span),
        )

    def where(self, owner: str, document_id: str, span: Span) -> Place | None:
        """Sheet and cells, slide, heading…; None where there are pages, or nothing any more."""
        try:
            return self._library.place(owner, document_id, span)
        except NotFoundError:  # removed meanwhile
            return None

    def _among(
        self, owner: str, choice: DocumentChoice, language: Language, *, names_failed: bool
    ) -> tuple[list[str] | None, list[str]]:
        """Ids of the chosen documents, None for all; and what to say about them."""
        chosen = self._chosen(owner, choice)
        if not chosen:
            raise AskError("ask.no_documents" if choice.is_everything else "ask.choice_gone")
        failed = [one for one in chosen if one.status is DocumentStatus.FAILED]
        num_pending = sum(one.status in _PENDING for one in chosen)
        if len(failed) == len(chosen):
            raise AskError("ask.none_readable", n=len(failed), files=_named(failed, language))
        if num_pending + len(failed) == len(chosen):
            raise AskError("ask.not_read_yet", n=num_pending)
        notices = [text("ask.some_unread", language, n=num_pending)] if num_pending else []
        if failed and names_failed:
            files = _named(failed, language)
            notices.append(text("ask.some_failed", language, n=len(failed), files=files))
        return None if choice.is_everything else [item.id for item in chosen], notices

    def names(self, owner: str, choice: DocumentChoice) -> list[str]:
        """Of the chosen documents that can be read. Raises AskError where there are none."""
        chosen = self._chosen(owner, choice)
        if not chosen:
            raise AskError("ask.no_documents" if choice.is_everything else "ask.choice_gone")
        return [one.name for one in chosen if one.status is not DocumentStatus.FAILED]

    def _chosen(self, owner: str, choice: DocumentChoice) -> list[Document]:
        everything = self._documents.documents(owner)
        if choice.is_everything:
            return everything
        ids, collections = set(choice.document_ids), set(choice.collection_ids)
        return [d for d in everything if d.id in ids or d.collection_id in collections]

    def _numbered(
        self, owner: str, found: Sequence[Passage], words: QuestionWords
    ) -> tuple[NumberedPassage, ...]:
        if (
            words.has_days()
        ):  # of two minutes that differ in nothing else, those of the day asked for
            found = sorted(found, key=lambda one: -words.num_days_in(_all_of(one)))
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
                round(words.share_in(_all_of(passage)), 3),
                self.where(owner, passage.document_id, passage.span),
            )
            for number, passage in enumerate(found, start=1)
        )

    def _has_pages(self, owner: str, document_id: str) -> bool:
        try:
            return self._documents.document(owner, document_id).kind == Kind.PDF
        except NotFoundError:  # removed meanwhile
            return False


def _num_worth(passages: Sequence[NumberedPassage], *, by_words: bool) -> int:
    """How many of the first are worth a model's time. Scores by meaning have no zero."""
    if not by_words:
        return MAX_BY_MEANING
    least = NEAR_BEST * max((passage.score for passage in passages), default=0.0)
    return sum(passage.score >= least for passage in passages)


_PENDING = (DocumentStatus.WAITING, DocumentStatus.READING)


def _all_of(passage: Passage) -> str:
    return f"{passage.document_name}\n{passage.title}\n{passage.text}"


def _named(documents: Sequence[Document], language: Language) -> str:
    names = text("ask.separator", language).join(one.name for one in documents[:MAX_NAMED])
    return names if len(documents) <= MAX_NAMED else names + text("ask.and_more", language)


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
