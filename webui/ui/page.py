"""The whole page as Gradio Blocks, and its mounting on the web application.

Must be imported after environment.prepare_gradio().
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr

from webui.application import USER_SCOPE, Application
from webui.credentials import login_needed
from webui.strings import Language
from webui.ui.chat.chat_events import ChatEvents
from webui.ui.chat.chat_tab import build_chat, build_navigation, build_sidebar, wire_chat
from webui.ui.chat.settings_panel import build_panel
from webui.ui.documents.documents_tab import build_documents, wire_documents
from webui.ui.inspector.inspector_tab import build_inspector, wire_inspector
from webui.ui.language import page_strings
from webui.ui.models.models_tab import build_models, wire_models
from webui.ui.plain_values import check_plain
from webui.ui.summary.summarize_tab import build_summarize
from webui.ui.theme import theme

MAX_EVENTS = 64  # running events of all tabs; the engine has its own queue
MAX_WAITING_EVENTS = 256
MAX_SESSIONS = 200  # Gradio keeps a closed tab's values until that many others have come
MAX_UPLOAD = "1mb"  # nothing on the page uploads through Gradio yet


class Page(gr.Blocks):  # type: ignore[misc]
    """Blocks whose components receive and give out plain values only, whatever an event says."""

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any
    ) -> Any:
        check_plain(inputs)
        return await super().preprocess_data(block_fn, inputs, *rest, **options)

    async def postprocess_data(self, block_fn: Any, predictions: Any, *rest: Any) -> Any:
        # One output comes as it is, several as a list; a skip is Gradio's own.
        several = isinstance(predictions, list | tuple) and len(block_fn.outputs) != 1
        for value in predictions if several else (predictions,):
            if isinstance(value, SimpleNamespace):  # a component made in a handler
                check_plain(vars(value))
            elif value != gr.skip():
                check_plain(value)
        return await super().postprocess_data(block_fn, predictions, *rest)


def build_page(application: Application) -> tuple[gr.Blocks, gr.I18n]:
    """The page and the strings of its labels."""
    label = gr.I18n(**{str(language): page_strings(language) for language in Language})
    with Page(title="Kajogaki", fill_height=True, fill_width=True, analytics_enabled=False) as demo:
        with gr.Row(elem_id="app"):
            build_navigation()
            conversations = build_sidebar()
            tab = build_chat(conversations)
            models = build_models()
            build_summarize()
            documents = build_documents()
            inspector = build_inspector()
            panel = build_panel(label)
        wire_chat(demo, tab, panel, ChatEvents(application))
        wire_models(tab, *models, application)
        wire_documents(tab, *documents, application)
        wire_inspector(tab, panel, *inspector, application)
    return demo, label


def _every_place(application: Application) -> list[str]:
    """Gradio would serve the working folder, the temp folder and its cache; here it serves none."""
    data_dir = application.settings.data_dir.absolute()
    return sorted({place.anchor for place in (data_dir, Path.cwd(), Path(tempfile.gettempdir()))})


def _user(request: Any) -> str | None:
    """Who the gate let in."""
    return str(request.scope[USER_SCOPE]) if USER_SCOPE in request.scope else None


def mount_page(web: Any, application: Application, port: int) -> Callable[[], None]:
    """Mount the page at "/" of the FastAPI application `web`.

    Returns what must be called when the server is asked to end, so that open streams end too.
    """
    demo, label = build_page(application)
    # api_open: a direct call of a generator would get one value and leave the rest suspended.
    demo.queue(default_concurrency_limit=MAX_EVENTS, max_size=MAX_WAITING_EVENTS, api_open=False)
    # Gradio's queue polls each millisecond: 6 % of a core for ever. This is 0.7 %.
    demo._queue.sleep_when_free = 0.02
    demo._queue.progress_update_sleep_when_free = 0.1
    demo.state_session_capacity = MAX_SESSIONS
    gr.mount_gradio_app(
        web,
        demo,
        path="/",
        server_port=port,
        theme=theme(),
        i18n=label,
        run_history=False,
        footer_links=[],
        show_error=False,
        max_file_size=MAX_UPLOAD,
        app_kwargs={"openapi_url": None},
        blocked_paths=_every_place(application),
        auth_dependency=_user if login_needed(application.settings) else None,
    )
    # Security: only launch() sets this, and without it Gradio lets every client read every file.
    demo.has_launched = True
    gradio_app = web.routes[-1].app

    def end_streams() -> None:
        demo._queue.close()
        gradio_app.stop_event.set()

    return end_streams
