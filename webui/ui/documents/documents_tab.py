"""The 資料 view and the source panel: their components, and the events by which the browser acts.

`kajogaki.documents` (assets/documents.js) and `kajogaki.source` (assets/source.js) draw them. The
panel is one for all views: search results and citations in answers open it.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio as gr

from webui.application import Application
from webui.config import LOCAL_USER
from webui.documents.search.retriever import Found
from webui.documents.under_way import watch_documents
from webui.errors import AppError
from webui.strings import Language
from webui.text.pages import Span
from webui.ui.chat.chat_events import telling
from webui.ui.chat.chat_tab import AT_ONCE, ChatTab, drawn_by
from webui.ui.chat.conversation import BadRequestError, number_of, text_of
from webui.ui.chat.document_choice import choices_view
from webui.ui.documents.collection_tests import CollectionTests
from webui.ui.documents.documents_view import (
    MAX_QUESTION_CHARS,
    NUM_SEARCHED,
    NUM_SHOWN,
    chunks_view,
    documents_view,
    extracted_view,
    found_view,
    view_strings,
)
from webui.ui.documents.source_view import MAX_QUOTE_CHARS, NO_SPAN, source_view
from webui.ui.language import language_of


def build_documents() -> tuple[gr.HTML, gr.HTML, gr.HTML, gr.HTML]:
    """The view and its bridge, the source panel and its bridge."""
    with gr.Column(elem_id="documents", elem_classes="view", min_width=0):
        view = drawn_by("documents", "documents-view")
        bridge = _bridge("documents")
    with gr.Column(elem_id="source", min_width=0):
        panel = drawn_by("source", "source-panel")
        panel_bridge = _bridge("source")
    return view, bridge, panel, panel_bridge


def wire_documents(
    tab: ChatTab,
    view: gr.HTML,
    bridge: gr.HTML,
    panel: gr.HTML,
    panel_bridge: gr.HTML,
    application: Application,
) -> None:
    events = DocumentsEvents(application)
    bridge.documents(telling(events.on_documents, 1), None, [view, tab.problem], **AT_ONCE)
    panel_bridge.source(telling(events.on_source, 1), None, [panel, tab.problem], **AT_ONCE)


class DocumentsEvents:
    """The handlers. They block a little, so they run in threads."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._library = application.library
        self._documents = application.storage.documents
        self._tests = CollectionTests(application.library)
        # A search may wait until an embedder has loaded; the threads of all others stay free.
        self._searchers = ThreadPoolExecutor(2, thread_name_prefix="search")

    async def on_documents(self, event: gr.EventData, request: gr.Request) -> Any:
        """Do `action`, then answer with the view, or with what was asked for alone."""
        data = event._data if isinstance(event._data, dict) else {}
        action = text_of(data, "action")
        threads = self._searchers if action == "search" else None
        loop = asyncio.get_running_loop()
        owner, language = _reader(request)
        answer = await loop.run_in_executor(threads, self._answer, action, data, owner, language)
        if action in ("retry", "recognise"):
            watch_documents(self._application.jobs, self._library, owner)
        return answer

    def _answer(self, action: str, data: dict[str, Any], owner: str, language: Language) -> Any:
        # Gradio does not pass on an answer that equals the last one, and polling waits for it.
        head: dict[str, Any] = {"nonce": secrets.token_hex(4)}
        if data.get("first") is True:
            head["strings"] = view_strings(language)
        match action:
            case "search":
                return head | {"found": self._search(owner, data, language)}
            case "chunks":
                wanted = text_of(data, "document")
                shown = chunks_view(self._library, self._documents, owner, wanted, language)
                return head | {"detail": shown}
            case "extracted":
                wanted, first = text_of(data, "document"), number_of(data, "first", 0)
                extracted = extracted_view(
                    self._library, self._documents, owner, wanted, first, language
                )
                return head | {"extracted": extracted}
            case "choices":
                return head | {"choices": choices_view(self._documents, owner)}
            case "create_collection":
                made = self._documents.create_collection(owner, _name(data))
                data = {**data, "collection": made.id}
            case _ if action in ACTIONS:
                ACTIONS[action](self, owner, data)
        collection = text_of(data, "collection")
        num_shown = number_of(data, "size", NUM_SHOWN)
        view = documents_view(
            self._library, self._documents, owner, language, collection, num_shown
        )
        view["embedder"]["may_reembed"] = self._application.is_admin(owner)
        test = self._tests.view(owner, view["collection"], language)
        return head | view | {"test": test}

    def on_source(self, event: gr.EventData, request: gr.Request) -> Any:
        """One page for the panel; with a password, for the pictures of a protected file."""
        data = event._data if isinstance(event._data, dict) else {}
        owner, language = _reader(request)
        document, page = text_of(data, "document"), number_of(data, "page", 1)
        answer: dict[str, Any] = {"nonce": number_of(data, "nonce", 0), "problem": ""}
        if data.get("first") is True:
            answer["strings"] = view_strings(language)
        if password := text_of(data, "password"):
            try:
                self._library.unlock(owner, document, password)
            except AppError as error:  # said where the password was typed
                answer["problem"] = error.message(language)
        quote, span = text_of(data, "quote")[:MAX_QUOTE_CHARS], _span(data)
        return answer | source_view(
            self._library,
            self._documents,
            owner,
            document,
            page,
            language,
            span=span,
            quote=quote,
        )

    def _search(self, owner: str, data: dict[str, Any], language: Language) -> dict[str, Any]:
        question = text_of(data, "question")[:MAX_QUESTION_CHARS]
        collection = text_of(data, "collection")
        among = None
        try:
            if collection:
                among = [one.id for one in self._documents.documents(owner, collection)]
            found = self._library.search(owner, question, NUM_SEARCHED, among)
        except AppError as error:  # the page waits for an answer before it searches again
            found = Found([], used_vectors=False, problem=error)
        return found_view(self._library, owner, found, question, language)

    def rename(self, owner: str, data: dict[str, Any]) -> None:
        self._documents.rename_document(owner, text_of(data, "document"), _name(data))

    def rename_collection(self, owner: str, data: dict[str, Any]) -> None:
        self._documents.rename_collection(owner, text_of(data, "collection"), _name(data))

    def delete_collection(self, owner: str, data: dict[str, Any]) -> None:
        self._library.remove_collection(owner, text_of(data, "collection"))

    def delete(self, owner: str, data: dict[str, Any]) -> None:
        self._library.remove(owner, text_of(data, "document"))

    def cancel(self, owner: str, data: dict[str, Any]) -> None:
        self._library.cancel(owner, text_of(data, "document"))

    def retry(self, owner: str, data: dict[str, Any]) -> None:
        self._library.retry(owner, text_of(data, "document"), text_of(data, "password"))

    def test(self, owner: str, data: dict[str, Any]) -> None:
        self._tests.start(owner, text_of(data, "collection"))

    def close_test(self, owner: str, data: dict[str, Any]) -> None:
        self._tests.close(owner)

    def reembed(self, owner: str, data: dict[str, Any]) -> None:
        self._application.check_admin(owner)  # it is everybody's index
        self._library.reembed()

    def recognise(self, owner: str, data: dict[str, Any]) -> None:
        self._library.recognise(owner, text_of(data, "document"))


ACTIONS: Mapping[str, Callable[[DocumentsEvents, str, dict[str, Any]], None]] = {
    "rename": DocumentsEvents.rename,
    "rename_collection": DocumentsEvents.rename_collection,
    "delete_collection": DocumentsEvents.delete_collection,
    "delete": DocumentsEvents.delete,
    "cancel": DocumentsEvents.cancel,
    "retry": DocumentsEvents.retry,
    "recognise": DocumentsEvents.recognise,
    "test": DocumentsEvents.test,
    "close_test": DocumentsEvents.close_test,
    "reembed": DocumentsEvents.reembed,
}


def _bridge(name: str) -> gr.HTML:
    return gr.HTML(
        html_template=" ",
        js_on_load=f"kajogaki.{name}Bridge(trigger, '{name}')",
        elem_id=f"{name}-bridge",
        visible="hidden",
    )


def _reader(request: gr.Request) -> tuple[str, Language]:
    return request.username or LOCAL_USER, language_of(dict(request.cookies))


def _name(data: dict[str, Any]) -> str:
    """Raises BadRequestError for one without anything to see; the page never sends it."""
    name = "".join(char for char in text_of(data, "name") if char.isprintable()).strip()
    if not name:
        raise BadRequestError("ui.bad_request")
    return name


def _span(data: dict[str, Any]) -> Span:
    """Raises BadRequestError."""
    values = data.get("span")
    if values is None:
        return NO_SPAN
    if not isinstance(values, list) or len(values) != 4:
        raise BadRequestError("ui.bad_request")
    return Span(*(number_of({"n": value}, "n", 0) for value in values))
