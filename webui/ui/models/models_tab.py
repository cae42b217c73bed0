"""The モデル view: its component, and the one event by which the browser asks and acts.

`kajogaki.models` (assets/models.js) draws it; every event answers with the whole view.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from webui.application import Application
from webui.config import LOCAL_USER
from webui.engine.options import options_of
from webui.ui.chat.chat_events import telling
from webui.ui.chat.chat_tab import AT_ONCE, ChatTab, drawn_by
from webui.ui.chat.conversation import text_of
from webui.ui.language import language_of
from webui.ui.models.models_desk import ModelsDesk
from webui.ui.models.models_view import models_view, preview


def build_models() -> tuple[gr.HTML, gr.HTML]:
    """The view and its bridge."""
    with gr.Column(elem_id="models", elem_classes="view", min_width=0):
        view = drawn_by("models", "models-view")
        bridge = gr.HTML(
            html_template=" ",
            js_on_load="kajogaki.modelsBridge(trigger, 'models')",
            elem_id="models-bridge",
            visible="hidden",
        )
    return view, bridge


def wire_models(tab: ChatTab, view: gr.HTML, bridge: gr.HTML, application: Application) -> None:
    events = ModelsEvents(application)
    told = telling(events.on_models, 1)
    bridge.models(told, None, [view, tab.problem], **AT_ONCE)


class ModelsEvents:
    """The handlers. A desk is made at the first visit: nothing starts before."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._desk: ModelsDesk | None = None

    async def on_models(self, event: gr.EventData, request: gr.Request) -> Any:
        """Do `action`, then answer with the view. Raises AppError."""
        data = event._data if isinstance(event._data, dict) else {}
        owner, language = request.username or LOCAL_USER, language_of(request.cookies)
        action = text_of(data, "action")
        if action not in READING:
            self._application.check_admin(owner)
        desk = self._desk = self._desk or ModelsDesk(self._application)
        shown = await self._act(desk, action, data)
        if shown is None:
            is_first = data.get("first") is True
            shown = await asyncio.to_thread(models_view, desk, language, with_strings=is_first)
            shown["may_change"] = self._application.is_admin(owner)
        return shown

    async def _act(
        self, desk: ModelsDesk, action: str, data: dict[str, Any]
    ) -> dict[str, Any] | None:
        """A view of its own, or None for the whole one. Raises AppError."""
        model, name = text_of(data, "model"), text_of(data, "name")
        match action:
            case "pause":
                await asyncio.to_thread(desk.downloads.pause, name)
            case "cancel":
                await asyncio.to_thread(desk.downloads.cancel, name)
            case "inspect":
                entries = self._application.catalog.entries()
                await desk.inspect(entries.get(text_of(data, "entry")))
            case "preview":
                options = options_of(_values(data))
                fit = await asyncio.to_thread(preview, desk, model, options)
                return {"preview": {"model": model, **fit}}
            case _ if action in ACTIONS:
                ACTIONS[action](desk, data)
        return None


READING = ("", "show", "poll", "preview")  # everything else is for administrators
ACTIONS: dict[str, Callable[[ModelsDesk, dict[str, Any]], None]] = {  # that do not wait
    "download": lambda desk, data: desk.download(text_of(data, "entry"), text_of(data, "file")),
    "download_other": lambda desk, data: desk.download_other(
        text_of(data, "repository"), text_of(data, "file")
    ),
    "resume": lambda desk, data: desk.resume(text_of(data, "name")),
    "forget": lambda desk, data: desk.downloads.forget(text_of(data, "name")),
    "load": lambda desk, data: desk.load(text_of(data, "model")),
    "unload": lambda desk, data: desk.unload(text_of(data, "model")),
    "options": lambda desk, data: desk.remember(text_of(data, "model"), _values(data)),
    "measure": lambda desk, data: desk.measure(text_of(data, "model")),
    "quantize": lambda desk, data: desk.quantize(text_of(data, "model"), text_of(data, "type")),
    "compare": lambda desk, data: desk.compare(_texts(data, "models"), _foretold(data)),
    "convert": lambda desk, data: desk.convert(text_of(data, "folder"), text_of(data, "kind")),
    "cancel_job": lambda desk, data: desk.cancel_job(),
    "clear_results": lambda desk, data: desk.clear_results(),
}


def _values(data: dict[str, Any]) -> dict[str, Any]:
    """The options that the reader set; empty ones mean the default."""
    given = data.get("values")
    values = given if isinstance(given, Mapping) else {}
    return {str(key): value for key, value in values.items() if value not in (None, "")}


def _texts(data: dict[str, Any], name: str) -> list[str]:
    given = data.get(name)
    return [item for item in given if isinstance(item, str)] if isinstance(given, list) else []


def _foretold(data: dict[str, Any]) -> str | None:
    """The text whose perplexity is wanted: "" = ours, None = none."""
    return text_of(data, "text") if data.get("perplexity") is True else None
