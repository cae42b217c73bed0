"""The chat: its components, and which event calls which handler with which outputs.

The browser's modules (assets/) speak through one component, the bridge: `kajogaki.send(name,
data)` triggers the event `name` there. Values go back to the components that draw them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from webui.ui.chat.chat_events import ChatEvents, telling
from webui.ui.chat.settings_panel import SettingsPanel

BRIDGE_EVENTS = (
    "run",
    "join",
    "stop_reply",
    "open_conversation",
    "search",
    "rename",
    "remove",
    "restore",
    "version",
    "undo_turn",
    "delete_message",
    "model",
    "shorten",
    "documents",
    "settings",
)
# Every event: not in the API's docs, no progress overlay, never dropped while another one runs.
QUIET: dict[str, Any] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "trigger_mode": "multiple",
}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
# The panel's values are checked by our own code; Gradio's check speaks English only.
RAW: dict[str, Any] = {**AT_ONCE, "preprocess": False, "trigger_mode": "always_last"}
WITH_CONVERSATION = "(_, ...values) => [kajogaki.conversationId(), ...values]"


@dataclass(frozen=True, slots=True)
class ChatTab:
    conversations: gr.HTML
    header: gr.HTML
    transcript: gr.HTML
    live: gr.HTML
    problem: gr.HTML
    shortened: gr.HTML
    bridge: gr.HTML
    conversation_id: gr.Textbox  # filled in the browser, for the panel's events


def drawn_by(module: str, elem_id: str, **options: Any) -> gr.HTML:
    """A component that the browser's `module` draws whenever its value changes."""
    return gr.HTML(
        html_template=" ",
        js_on_load=f"kajogaki.{module}(element, props, watch)",
        apply_default_css=False,
        elem_id=elem_id,
        **options,
    )


def build_navigation() -> None:
    """The tabs of the views (assets/navigation.js)."""
    with gr.Column(elem_id="navigation", min_width=0):
        drawn_by("navigation", "navigation-view")


def build_sidebar() -> gr.HTML:
    with gr.Column(elem_id="side", min_width=0):
        return drawn_by("conversations", "conversations")


def build_chat(conversations: gr.HTML) -> ChatTab:
    with gr.Column(elem_id="chat", min_width=0):
        header = drawn_by("header", "header")
        transcript = drawn_by("transcript", "transcript")
        drawn_by("composer", "composer")
        live = drawn_by("live", "live", visible="hidden")
        problem = drawn_by("problem", "problem", visible="hidden")
        shortened = drawn_by("shortened", "shortened", visible="hidden")
        names = ", ".join(f"'{name}'" for name in BRIDGE_EVENTS)
        bridge = gr.HTML(
            html_template=" ",
            js_on_load=f"kajogaki.bridge(trigger, [{names}])",
            elem_id="bridge",
            visible="hidden",
        )
        conversation_id = gr.Textbox(visible="hidden")
    return ChatTab(
        conversations, header, transcript, live, problem, shortened, bridge, conversation_id
    )


def wire_chat(demo: gr.Blocks, tab: ChatTab, panel: SettingsPanel, events: ChatEvents) -> None:
    """All events of the chat."""
    shown = [tab.transcript, tab.header, panel.preset, *panel.values]
    _wire(tab, demo.load, events.on_load, [tab.conversations, *shown], QUIET)
    tab.bridge.run(
        events.on_run,
        panel.values,
        [tab.transcript, tab.live, tab.conversations],
        concurrency_limit=None,
        preprocess=False,
        **QUIET,
    )
    bridge = tab.bridge
    bridge.join(
        events.on_join,
        None,
        [tab.transcript, tab.live, tab.conversations],
        concurrency_limit=None,
        **QUIET,
    )
    _wire(tab, bridge.open_conversation, events.on_open, shown)
    _wire(tab, bridge.stop_reply, events.on_stop, [])
    _wire(tab, bridge.search, events.on_search, [tab.conversations])
    _wire(tab, bridge.rename, events.on_rename, [tab.conversations])
    _wire(tab, bridge.remove, events.on_remove, [tab.conversations])
    _wire(tab, bridge.restore, events.on_restore, [tab.conversations])
    _wire(tab, bridge.version, events.on_version, [tab.transcript])
    _wire(tab, bridge.documents, events.on_documents, [])
    _wire(tab, bridge.undo_turn, events.on_undo, [tab.transcript])
    _wire(tab, bridge.delete_message, events.on_delete_message, [tab.transcript])
    _wire(tab, bridge.shorten, events.on_shorten, [tab.shortened])
    _wire(
        tab,
        bridge.model,
        events.on_model,
        [tab.header, *panel.values],
        {**AT_ONCE, "preprocess": False},
        inputs=panel.values,
    )
    _wire_panel(tab, panel, events)


def _wire_panel(tab: ChatTab, panel: SettingsPanel, events: ChatEvents) -> None:
    of_conversation = {**RAW, "js": WITH_CONVERSATION}
    # Not the components' own `input`: it says nothing of what is pasted, deleted or composed.
    _wire(tab, tab.bridge.settings, events.on_settings, [panel.head], RAW, inputs=panel.values)
    _wire(
        tab,
        panel.preset.input,
        events.on_choose_preset,
        [panel.head, *panel.values],
        of_conversation,
        inputs=[tab.conversation_id, panel.preset],
    )
    _wire(
        tab,
        partial(gr.on, [panel.save_preset.click, panel.preset_name.submit]),
        events.on_save_preset,
        [panel.preset, panel.preset_name],
        of_conversation,
        inputs=[tab.conversation_id, panel.preset_name, *panel.values],
    )
    _wire(
        tab,
        panel.delete_preset.click,
        events.on_delete_preset,
        [panel.preset],
        RAW,
        inputs=[panel.preset],
    )


def _wire(
    tab: ChatTab,
    event: Callable[..., Any],
    handler: Callable[..., Any],
    outputs: Sequence[Component],
    options: Mapping[str, Any] = AT_ONCE,
    inputs: Sequence[Component] | None = None,
) -> None:
    """`event` calls `handler`; what goes wrong is told by the component `problem`."""
    told = telling(handler, len(outputs))
    event(told, inputs, [*outputs, tab.problem], **options)
