"""The drawer with a conversation's system prompt, sampling values and presets: its components.

Knows nothing about what the values mean to a model.
"""

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from webui.ui.chat.sampling_values import KNOBS, MAX_PRESET_NAME_CHARS, panel_values


@dataclass(frozen=True, slots=True)
class SettingsPanel:
    """`values` in the order of sampling_values.panel_values; `head` tells when they are kept."""

    head: gr.HTML
    values: list[Component]
    preset: gr.Dropdown
    preset_name: gr.Textbox
    save_preset: gr.Button
    delete_preset: gr.Button


def build_panel(label: gr.I18n) -> SettingsPanel:
    """The components; `label(key)` is a string of [ui] in the reader's language."""
    defaults = panel_values("", {})
    with gr.Column(elem_id="panel", min_width=0):
        head = gr.HTML(
            html_template=" ",
            js_on_load="kajogaki.panelHead(element, props, watch)",
            apply_default_css=False,
        )
        gr.HTML(html_template=" ", js_on_load="kajogaki.manner(element)", apply_default_css=False)
        preset = gr.Dropdown(
            [], label=label("preset"), filterable=False, interactive=True, elem_id="preset"
        )
        with gr.Row(elem_id="preset-row"):
            preset_name = gr.Textbox(
                placeholder=label("preset_name"),
                show_label=False,
                max_length=MAX_PRESET_NAME_CHARS,
                elem_id="preset-name",
                min_width=80,
                interactive=True,
            )
            save_preset = gr.Button(label("save"), size="sm", min_width=56, elem_id="preset-save")
            delete_preset = gr.Button(
                label("delete"), size="sm", min_width=56, elem_id="preset-delete"
            )
        system_prompt = gr.Textbox(
            label=label("system_prompt"),
            placeholder=label("system_prompt_hint"),
            lines=4,
            max_lines=12,
            elem_id="system-prompt",
            interactive=True,
        )
        sliders = [
            gr.Slider(
                knob.low,
                knob.high,
                defaults[1 + index],
                step=knob.step,
                label=label(knob.name),
                info=label(f"{knob.name}_info"),
                elem_id=f"knob-{knob.name}",
                buttons=[],  # its reset knows nothing of what the model's makers recommend
                interactive=True,
            )
            for index, knob in enumerate(KNOBS)
        ]
        seed = gr.Number(
            None,
            label=label("seed"),
            info=label("seed_info"),
            precision=0,
            elem_id="knob-seed",
            interactive=True,
        )
    return SettingsPanel(
        head, [system_prompt, *sliders, seed], preset, preset_name, save_preset, delete_preset
    )
