"""The 要約 view's place on the page. What it shows and does goes over webui/api/summaries.py.

`kajogaki.summary` (assets/summary.js) draws it.
"""

import gradio as gr

from webui.ui.chat.chat_tab import drawn_by


def build_summarize() -> None:
    with gr.Column(elem_id="summary", elem_classes="view", min_width=0):
        drawn_by("summary", "summary-view")
