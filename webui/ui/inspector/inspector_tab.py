"""The inspector beside the chat: its component, and the one event by which the browser asks.

`kajogaki.inspector` (assets/inspector.js) draws it; every event answers with a whole view.
"""

import asyncio
from typing import Any

import gradio as gr

from webui.application import Application
from webui.config import LOCAL_USER
from webui.errors import AppError
from webui.strings import Language
from webui.ui.chat.chat_events import telling
from webui.ui.chat.chat_tab import AT_ONCE, ChatTab, drawn_by
from webui.ui.chat.conversation import NewConversation, manner_of, text_of
from webui.ui.chat.sampling_values import rebased
from webui.ui.chat.settings_panel import SettingsPanel
from webui.ui.chat.subject import recommended, subject_of
from webui.ui.inspector import inspector_view as view
from webui.ui.language import language_of

CHANGES = ("choose", "save", "remove")  # of the format


def build_inspector() -> tuple[gr.HTML, gr.HTML]:
    """The pane and its bridge."""
    with gr.Column(elem_id="inspector", min_width=0):
        pane = drawn_by("inspector", "inspector-view")
        bridge = gr.HTML(
            html_template=" ",
            js_on_load="kajogaki.inspectorBridge(trigger, 'inspect')",
            elem_id="inspector-bridge",
            visible="hidden",
        )
    return pane, bridge


def wire_inspector(
    tab: ChatTab, panel: SettingsPanel, pane: gr.HTML, bridge: gr.HTML, application: Application
) -> None:
    told = telling(InspectorEvents(application).on_inspect, 1 + len(panel.values))
    outputs = [pane, *panel.values, tab.problem]
    bridge.inspect(told, panel.values, outputs, preprocess=False, **AT_ONCE)


class InspectorEvents:
    def __init__(self, application: Application) -> None:
        self._application = application
        self._turn = asyncio.Lock()  # what is shown must not overtake what was chosen

    async def on_inspect(
        self, event: gr.EventData, request: gr.Request, *panel: Any
    ) -> tuple[Any, ...]:
        """Do `action`, then answer with what there is to see. Raises AppError.

        Another format brings other recommended values, so the panel's follow.
        """
        data = event._data if isinstance(event._data, dict) else {}
        owner, language = request.username or LOCAL_USER, language_of(request.cookies)
        wanted = text_of(data, "conversation")
        new = NewConversation(text_of({"text": panel[0] or ""}, "text"), manner_of(data))
        is_change = text_of(data, "action") in CHANGES
        values: list[Any] = [gr.skip() for _ in panel]
        async with self._turn:
            before = await asyncio.to_thread(recommended, self._application, owner, wanted)
            answer = await asyncio.to_thread(self._answer, owner, data, new, language)
            if is_change:
                after = await asyncio.to_thread(recommended, self._application, owner, wanted)
                values = rebased(panel, before, after)
        return answer, *values

    def _answer(
        self, owner: str, data: dict[str, Any], new: NewConversation, language: Language
    ) -> dict[str, Any]:
        action, wanted = text_of(data, "action"), text_of(data, "conversation")
        source = text_of(data, "source")
        answer: dict[str, Any] = {
            "conversation": wanted,
            "asked": text_of(data, "asked"),
            "offer": view.NO_OFFER,
            "strings": view.page_strings_of(language),
        }
        is_open = data.get("open") is True
        try:
            subject = subject_of(self._application, owner, wanted, new)
            answer["offer"] = view.offer_view(subject, language)
        except AppError:
            if is_open or action != "show":
                raise
            return answer  # nobody asked to see it, and header and transcript say what is wrong
        match action:
            case "choose":
                view.choose(subject, text_of(data, "family"))
            case "save":
                view.save_own(subject, text_of(data, "name").strip(), source, language)
            case "remove":
                view.remove_own(subject)
            case "manner":
                view.keep_manner(subject, manner_of(data))
                subject = subject_of(self._application, owner, wanted, new)
        answer["offer"] = view.offer_view(subject, language)
        if is_open:
            edited = source if action == "preview" else ""
            answer |= view.inspector_view(subject, language, edited)
        return answer
