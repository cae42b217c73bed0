"""The chat's event handlers: from a client's event and request to values for components.

Each is a public endpoint. They read the user from the request, never from the event, and raise
AppErrors, which `telling` shows. What they do is in conversation.py and its neighbours.
"""

import asyncio
import contextlib
import functools
import inspect
import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from webui.application import Application
from webui.config import LOCAL_USER
from webui.errors import AppError
from webui.strings import Language, text
from webui.ui.chat import conversation, header_view, sampling_values
from webui.ui.chat.conversation import NewConversation, RunRequest, number_of, text_of
from webui.ui.chat.conversation_list import PAGE_SIZE, list_view
from webui.ui.chat.document_choice import choice_of
from webui.ui.chat.message_view import NUM_TURNS_SHOWN, ended
from webui.ui.chat.subject import recommended
from webui.ui.language import language_of

logger = logging.getLogger(__name__)


class ChatEvents:
    """The handlers, over the application."""

    def __init__(self, application: Application) -> None:
        self._application = application

    # Outputs are named where a handler is wired, in chat_tab.py. Gradio fills `event` and
    # `request` by their annotations; they come first because `*panel` takes all the rest.

    async def on_load(self, request: gr.Request) -> tuple[Any, ...]:
        """The whole page for `?chat=`; a new conversation when there is none or it is gone."""
        owner, language = _reader(request)
        wanted = str(request.query_params.get("chat") or "")
        listed = await asyncio.to_thread(list_view, self._application, owner, language)
        return listed, *await self._open(owner, wanted, NUM_TURNS_SHOWN, language)

    async def on_open(self, event: gr.EventData, request: gr.Request) -> tuple[Any, ...]:
        owner, language = _reader(request)
        wanted = text_of(event._data, "conversation")
        num_turns = number_of(event._data, "turns", NUM_TURNS_SHOWN)
        return await self._open(owner, wanted, num_turns, language)

    async def on_run(
        self, event: gr.EventData, request: gr.Request, *panel: Any
    ) -> AsyncGenerator[tuple[Any, ...], None]:
        """Send, edit or retry: (transcript, live, list) while the answer streams."""
        owner, language = _reader(request)
        conversation_id = ""
        try:
            asked = RunRequest.parse(event._data)
            conversation_id = asked.conversation
            if asked.is_empty:
                yield gr.skip(), gr.skip(), gr.skip()
                return
            new = NewConversation()
            if not conversation_id:
                new = await asyncio.to_thread(self._new_conversation, owner, asked, event, panel)
            # A page that goes away now has asked all the same.
            conversation_id = await asyncio.shield(
                conversation.begin_reply(self._application, owner, asked, new, language)
            )
            steps = self._follow(owner, conversation_id, language, asked.nonce)
            async with contextlib.aclosing(steps):
                async for step in steps:
                    yield step
        except AppError as error:
            yield gr.skip(), ended(conversation_id, error.message(language)), gr.skip()
        except Exception:
            logger.exception("answering failed")
            sentence = text("ui.unexpected", language)
            yield gr.skip(), ended(conversation_id, sentence), gr.skip()

    async def on_join(
        self, event: gr.EventData, request: gr.Request
    ) -> AsyncGenerator[tuple[Any, ...], None]:
        """As on_run, of an answer that another tab, or this one before a reload, has begun."""
        owner, language = _reader(request)
        try:
            wanted = text_of(event._data, "conversation")
            steps = self._follow(owner, wanted, language)
            async with contextlib.aclosing(steps):
                async for step in steps:
                    yield step
        except AppError as error:  # it has been deleted meanwhile, perhaps
            yield gr.skip(), ended("", error.message(language)), gr.skip()

    async def _follow(
        self, owner: str, conversation_id: str, language: Language, acknowledged: str = ""
    ) -> AsyncGenerator[tuple[Any, ...], None]:
        """(transcript, live, list) for Gradio."""
        application = self._application
        steps = conversation.follow(application, owner, conversation_id, language, acknowledged)
        async with contextlib.aclosing(steps):
            async for transcript, live in steps:
                if transcript is None:
                    yield gr.skip(), live, gr.skip()
                else:
                    listed = asyncio.to_thread(list_view, application, owner, language)
                    yield transcript, live, await listed

    async def on_stop(self, event: gr.EventData, request: gr.Request) -> None:
        owner, language = _reader(request)
        self._application.replies.stop(owner, text_of(event._data, "conversation"))

    def on_search(self, event: gr.EventData, request: gr.Request) -> Any:
        owner, language = _reader(request)
        return self._list(owner, event._data, language)

    def on_rename(self, event: gr.EventData, request: gr.Request) -> Any:
        owner, language = _reader(request)
        title = text_of(event._data, "title").strip()
        if title:
            self._application.storage.update_conversation(
                owner, text_of(event._data, "conversation"), title=title, title_is_auto=False
            )
        return self._list(owner, event._data, language)

    async def on_remove(self, event: gr.EventData, request: gr.Request) -> Any:
        owner, language = _reader(request)
        wanted = text_of(event._data, "conversation")
        self._application.storage.delete_conversation(owner, wanted)
        self._application.replies.stop(owner, wanted)
        return await asyncio.to_thread(self._list, owner, event._data, language)

    def on_restore(self, event: gr.EventData, request: gr.Request) -> Any:
        owner, language = _reader(request)
        wanted = text_of(event._data, "conversation")
        self._application.storage.restore_conversation(owner, wanted)
        return self._list(owner, event._data, language)

    async def on_version(self, event: gr.EventData, request: gr.Request) -> Any:
        owner, language = _reader(request)
        message_id = self._editable(owner, text_of(event._data, "message"))
        version = number_of(event._data, "version", 1)
        return await conversation.show_version(
            self._application, owner, message_id, version, language
        )

    async def on_undo(self, event: gr.EventData, request: gr.Request) -> Any:
        owner, language = _reader(request)
        wanted = text_of(event._data, "conversation")
        self._application.replies.check_free(owner, wanted)
        return await conversation.undo(self._application, owner, wanted, language)

    async def on_delete_message(self, event: gr.EventData, request: gr.Request) -> Any:
        owner, language = _reader(request)
        message_id = self._editable(owner, text_of(event._data, "message"))
        return await conversation.delete_message(self._application, owner, message_id, language)

    async def on_shorten(self, event: gr.EventData, request: gr.Request) -> Any:
        """What of a too long question could be sent: the browser shows it and asks."""
        owner, language = _reader(request)
        message_id = self._editable(owner, text_of(event._data, "message"))
        keep = text_of(event._data, "keep")
        parts = await conversation.shortened(self._application, owner, message_id, keep)
        return {**parts, "nonce": secrets.token_hex(4)}

    def on_documents(self, event: gr.EventData, request: gr.Request) -> None:
        """Which documents a conversation answers from; a new one takes them when it begins."""
        owner, language = _reader(request)
        wanted = text_of(event._data, "conversation")
        chosen = choice_of(event._data)
        self._application.storage.update_conversation(owner, wanted, documents=chosen)

    def on_model(self, event: gr.EventData, request: gr.Request, *panel: Any) -> tuple[Any, ...]:
        """(header, *panel values): another model's makers recommend other values."""
        owner, language = _reader(request)
        wanted = text_of(event._data, "conversation")
        before = recommended(self._application, owner, wanted)
        header_view.choose_model(self._application, owner, wanted, text_of(event._data, "model"))
        after = recommended(self._application, owner, wanted)
        header = header_view.header_view(self._application, owner, wanted, language)
        return header, *sampling_values.rebased(panel, before, after)

    def on_settings(self, event: gr.EventData, request: gr.Request, *panel: Any) -> Any:
        """The panel changed: keep it with the conversation, and say so."""
        owner, _ = _reader(request)
        return self._keep_panel(owner, text_of(event._data, "conversation"), panel)

    def _keep_panel(self, owner: str, conversation_id: str, panel: Sequence[Any]) -> Any:
        """What to tell the panel's head; a new conversation takes the panel when it begins."""
        base = recommended(self._application, owner, conversation_id)
        system_prompt, sampling = sampling_values.from_panel(panel, base)
        if not conversation_id:
            return gr.skip()
        kept = self._application.storage.conversation(owner, conversation_id).sampling
        manner: dict[str, Any] = {
            name: kept[name] for name in ("thinking", "variables") if name in kept
        }
        self._application.storage.update_conversation(
            owner, conversation_id, system_prompt=system_prompt, sampling={**sampling, **manner}
        )
        return {"kept": conversation_id, "nonce": secrets.token_hex(4)}

    def on_choose_preset(
        self, request: gr.Request, conversation_id: object, preset_id: object
    ) -> list[Any]:
        """[panel's head, *panel values]"""
        owner, _ = _reader(request)
        wanted = text_of({"preset": preset_id or ""}, "preset")
        base = self._recommended(owner, conversation_id)
        values = sampling_values.preset_values(self._application, owner, wanted, base)
        if values is None:
            return [gr.skip() for _ in ["head", *sampling_values.panel_values("", {})]]
        shown = text_of({"conversation": conversation_id}, "conversation")
        return [self._keep_panel(owner, shown, values), *values]

    def on_save_preset(
        self, request: gr.Request, conversation_id: object, name: object, *panel: Any
    ) -> tuple[Any, ...]:
        """(preset chooser, name box) afterwards."""
        owner, language = _reader(request)
        wanted = text_of({"name": name or ""}, "name")
        base = self._recommended(owner, conversation_id)
        saved = sampling_values.save_preset(self._application, owner, wanted, panel, base)
        return self._presets(owner, saved, language), ""

    def on_delete_preset(self, request: gr.Request, preset_id: object) -> Any:
        owner, language = _reader(request)
        wanted = text_of({"preset": preset_id or ""}, "preset")
        sampling_values.delete_preset(self._application, owner, wanted)
        return self._presets(owner, None, language)

    async def _open(
        self, owner: str, wanted: str, num_turns: int, language: Language
    ) -> tuple[Any, ...]:
        """(transcript, header, preset chooser, *panel values)"""
        application = self._application
        view, kept = conversation.blank(), NewConversation()
        if wanted:
            try:
                found = application.storage.conversation(owner, wanted)
                view = await conversation.transcript(
                    application, owner, wanted, language, num_turns=num_turns
                )
                kept = NewConversation(found.system_prompt, found.sampling)
            except AppError as error:
                view = conversation.blank(error.message(language))
        shown = view["conversation"]
        base = await asyncio.to_thread(recommended, application, owner, shown)
        values = sampling_values.panel_values(kept.system_prompt, kept.sampling, base)
        header = header_view.header_view(application, owner, shown, language)
        return view, header, self._presets(owner, None, language), *values

    def _new_conversation(
        self, owner: str, asked: RunRequest, event: gr.EventData, panel: tuple[Any, ...]
    ) -> NewConversation:
        base = recommended(self._application, owner, "")
        system_prompt, sampling = sampling_values.from_panel(panel, base)
        return NewConversation(system_prompt, {**sampling, **asked.manner}, choice_of(event._data))

    def _recommended(self, owner: str, conversation_id: object) -> Mapping[str, float]:
        wanted = text_of({"conversation": conversation_id}, "conversation")
        return recommended(self._application, owner, wanted)

    def _editable(self, owner: str, message_id: str) -> str:
        """`message_id`, if its conversation is not being answered just now."""
        message = self._application.storage.message(owner, message_id)
        self._application.replies.check_free(owner, message.conversation_id)
        return message_id

    def _list(self, owner: str, data: object, language: Language) -> Any:
        query = text_of(data, "query")
        size = number_of(data, "size", PAGE_SIZE)
        return list_view(self._application, owner, language, query, size)

    def _presets(self, owner: str, chosen: str | None, language: Language) -> Any:
        choices = sampling_values.preset_choices(self._application, owner, language)
        return gr.Dropdown(choices=choices, value=chosen)


def _reader(request: gr.Request) -> tuple[str, Language]:
    """Who asks, and in which language to answer."""
    return request.username or LOCAL_USER, language_of(dict(request.cookies))


def telling(handler: Callable[..., Any], num_outputs: int) -> Callable[..., Any]:
    """`handler` with one output more: what went wrong, in one sentence.

    (Gradio 6.31 shows no toast for an error of an event that does not go through its queue.)
    """

    @functools.wraps(handler)
    async def told(*inputs: Any) -> Any:
        request = next(value for value in inputs if isinstance(value, gr.Request))
        _, language = _reader(request)
        try:
            # What only reads and writes the database must not hold up the streams.
            is_quick = inspect.iscoroutinefunction(handler)
            answer = await (handler(*inputs) if is_quick else asyncio.to_thread(handler, *inputs))
        except AppError as error:
            return _outputs(_nothing(num_outputs), _problem(error.message(language)))
        except Exception:
            logger.exception("a page event failed")
            return _outputs(_nothing(num_outputs), _problem(text("ui.unexpected", language)))
        return _outputs(answer if num_outputs > 1 else (answer,)[:num_outputs], gr.skip())

    return told


def _outputs(values: Sequence[Any], problem: Any) -> Any:
    """For Gradio: several as a tuple, a single one as it is."""
    return (*values, problem) if values else problem


def _nothing(num_outputs: int) -> list[Any]:
    return [gr.skip() for _ in range(num_outputs)]


def _problem(sentence: str) -> dict[str, str]:
    """Different each time, so that the browser sees the same sentence twice."""
    return {"sentence": sentence, "nonce": secrets.token_hex(4)}
