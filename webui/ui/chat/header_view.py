"""The line at the top: which model answers, and one quiet note about it.

Knows nothing about Gradio.
"""

from typing import TypedDict

from webui.application import Application
from webui.errors import AppError
from webui.models import ModelSpec, UnknownModelError
from webui.strings import Language, text
from webui.ui.chat.conversation import MODEL_SETTING


class ModelView(TypedDict):
    id: str
    name: str
    usable: bool


class HeaderView(TypedDict):
    models: list[ModelView]
    current: str
    note: str  # below the composer; "" mostly
    is_builtin: bool  # the small model that comes with the program answers


def header_view(
    application: Application, owner: str, conversation_id: str, language: Language
) -> HeaderView:
    """The models, and the one that this conversation ("" = a new one) uses."""
    wanted = application.storage.setting(owner, MODEL_SETTING)
    if conversation_id:
        wanted = application.storage.conversation(owner, conversation_id).model_id
    models = [_model_view(spec) for spec in application.engines.models()]
    try:
        spec = application.engines.spec(wanted)
    except UnknownModelError:
        name = text("ui.model_gone", language, name=application.engines.catalog.name_of(wanted))
        models.insert(0, ModelView(id=wanted, name=name, usable=False))
        note = text("ui.choose_another_model", language)
        return HeaderView(models=models, current=wanted, note=note, is_builtin=False)
    except AppError as error:
        return HeaderView(models=models, current="", note=error.message(language), is_builtin=False)
    note = _note(spec, language)
    return HeaderView(models=models, current=spec.id, note=note, is_builtin=spec.is_builtin)


def choose_model(application: Application, owner: str, conversation_id: str, model_id: str) -> None:
    """Use `model_id` in this conversation and in those that begin later. Raises AppError."""
    model_id = application.engines.spec(model_id).id
    application.storage.set_setting(owner, MODEL_SETTING, model_id)
    if conversation_id:
        application.storage.update_conversation(owner, conversation_id, model_id=model_id)


def _model_view(spec: ModelSpec) -> ModelView:
    return ModelView(id=spec.id, name=spec.name, usable=spec.error is None)


def _note(spec: ModelSpec, language: Language) -> str:
    if spec.error:
        return spec.error.message(language)
    if spec.is_builtin:
        return text("ui.builtin", language)
    return text("ui.standin", language) if spec.is_standin else ""
