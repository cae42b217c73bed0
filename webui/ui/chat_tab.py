"""The chat: its components, and which event calls which handler with which outputs.

The browser's modules (assets/) speak through one component, the bridge: `kajogaki.send(name,
data)` triggers the event `name` there. Values go back to the components that draw them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from webui.ui.chat_events import ChatEvents
from webui.ui.settings_panel import SettingsPanel

BRIDGE_EVENTS = (
    "run",
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


def build_sidebar() -> gr.HTML:
    with gr.Column(elem_id="side", min_width=0):
        return drawn_by("conversations", "conversations")


def build_chat(conversations: gr.HTML) -> ChatTab:
    with gr.Column(elem_id="chat", min_width=0):
        header = drawn_by("header", "header")
        transcript = drawn_by("transcript", "transcript")
        drawn_by("composer", "composer")
        live = drawn_by("live", "live", visible="hidden")
        names = ", ".join(f"'{name}'" for name in BRIDGE_EVENTS)
        bridge = gr.HTML(
            html_template=" ",
            js_on_load=f"kajogaki.bridge(trigger, [{names}])",
            elem_id="bridge",
            visible="hidden",
        )
        conversation_id = gr.Textbox(visible="hidden")
    return ChatTab(conversations, header, transcript, live, bridge, conversation_id)


def wire_chat(demo: gr.Blocks, tab: ChatTab, panel: SettingsPanel, events: ChatEvents) -> None:
    """All events of the chat."""
    opened = [tab.transcript, tab.header, panel.preset, *panel.values]
    demo.load(events.on_load, None, [tab.conversations, *opened], **QUIET)
    tab.bridge.run(
        events.on_run,
        panel.values,
        [tab.transcript, tab.live, tab.conversations],
        concurrency_limit=None,
        preprocess=False,
        **QUIET,
    )
    _at_once(tab.bridge.open_conversation, events.on_open, opened)
    _at_once(tab.bridge.stop_reply, events.on_stop, None)
    _at_once(tab.bridge.search, events.on_search, tab.conversations)
    _at_once(tab.bridge.rename, events.on_rename, tab.conversations)
    _at_once(tab.bridge.remove, events.on_remove, tab.conversations)
    _at_once(tab.bridge.restore, events.on_restore, tab.conversations)
    _at_once(tab.bridge.version, events.on_version, tab.transcript)
    _at_once(tab.bridge.undo_turn, events.on_undo, tab.transcript)
    _at_once(tab.bridge.delete_message, events.on_delete_message, tab.transcript)
    _at_once(tab.bridge.model, events.on_model, tab.header)
    _wire_panel(tab, panel, events)


def _at_once(
    event: Callable[..., Any], handler: Callable[..., Any], outputs: Component | list[Any] | None
) -> None:
    event(handler, None, outputs, **AT_ONCE)


def _wire_panel(tab: ChatTab, panel: SettingsPanel, events: ChatEvents) -> None:
    gr.on(
        [component.input for component in panel.values],
        events.on_settings,
        [tab.conversation_id, *panel.values],
        None,
        js=WITH_CONVERSATION,
        **RAW,
    )
    panel.preset.input(
        events.on_choose_preset,
        [tab.conversation_id, panel.preset],
        panel.values,
        js=WITH_CONVERSATION,
        **RAW,
    )
    gr.on(
        [panel.save_preset.click, panel.preset_name.submit],
        events.on_save_preset,
        [panel.preset_name, *panel.values],
        [panel.preset, panel.preset_name],
        **RAW,
    )
    panel.delete_preset.click(events.on_delete_preset, panel.preset, panel.preset, **RAW)
