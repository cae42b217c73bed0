"""The 要約 view: its component, and the one event by which the browser asks and acts.

`kajogaki.summary` (assets/summary.js) draws it. The text of a result comes once; while a run goes
on the browser asks for the small view of the table.
"""

import asyncio
from typing import Any

import gradio as gr

from webui.application import Application
from webui.config import LOCAL_USER
from webui.tasks.summarize.desk import SummaryDesk
from webui.tasks.summarize.settings import SummarySettings
from webui.ui.chat.chat_events import telling
from webui.ui.chat.chat_tab import AT_ONCE, ChatTab, drawn_by
from webui.ui.chat.conversation import text_of
from webui.ui.language import language_of
from webui.ui.summary.summarize_view import desk_view, result_view, view_strings


def build_summarize() -> tuple[gr.HTML, gr.HTML]:
    """The view and its bridge."""
    with gr.Column(elem_id="summary", elem_classes="view", min_width=0):
        view = drawn_by("summary", "summary-view")
        bridge = gr.HTML(
            html_template=" ",
            js_on_load="kajogaki.summaryBridge(trigger, 'summary')",
            elem_id="summary-bridge",
            visible="hidden",
        )
    return view, bridge


def wire_summarize(tab: ChatTab, view: gr.HTML, bridge: gr.HTML, application: Application) -> None:
    events = SummarizeEvents(application.summaries)
    told = telling(events.on_summary, 1)
    bridge.summary(told, None, [view, tab.problem], **AT_ONCE)


class SummarizeEvents:
    def __init__(self, desks: SummaryDesk) -> None:
        self._desks = desks

    async def on_summary(self, event: gr.EventData, request: gr.Request) -> Any:
        """Do `action`, then answer with the table. Raises AppError."""
        data = event._data if isinstance(event._data, dict) else {}
        owner, language = request.username or LOCAL_USER, language_of(request.cookies)
        desks, wanted = self._desks, text_of(data, "id")
        view: dict[str, Any] = {}
        match text_of(data, "action"):
            case "plan":
                settings = SummarySettings.parse(data)
                await desks.plan(owner, text_of(data, "text"), settings, text_of(data, "model"))
            case "start":
                settings = desks.of(owner).planned_for or SummarySettings.parse(data)
                desks.start(owner, settings, text_of(data, "model"), language)
            case "cancel":
                await desks.cancel(owner)
            case "clear":
                desks.clear(owner)
            case "remove_file":
                desks.remove(owner, text_of(data, "token"))
            case "resume":
                await asyncio.to_thread(desks.history, owner)
                desks.resume(owner, wanted, language)
            case "open":
                summary, source = await asyncio.to_thread(desks.result, owner, wanted)
                view["result"] = result_view(wanted, summary, source, language)
            case "delete":
                desks.delete(owner, wanted)
        if data.get("first") is True:
            view["strings"] = view_strings(language)
        return view | await asyncio.to_thread(desk_view, desks, owner, language)
