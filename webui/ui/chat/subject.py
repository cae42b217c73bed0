"""What a conversation, or the one that is about to begin, speaks with: model, vocabulary, format.

Knows nothing about Gradio or how anything is drawn.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from webui.application import Application
from webui.engine.tokenizer import Tokenizer
from webui.errors import AppError
from webui.models import ModelSpec
from webui.prompts import Choice
from webui.storage import Conversation
from webui.tasks.sampling import usable_settings
from webui.ui.chat.conversation import MODEL_SETTING, NewConversation

DEFAULT_N_CTX = 8192  # where the model is not loaded yet
NOTHING_SET = NewConversation()


@dataclass(frozen=True, slots=True)
class Subject:
    """`conversation` is None for a new one; then `new` is what has been set for it."""

    application: Application
    owner: str
    conversation: Conversation | None
    new: NewConversation
    spec: ModelSpec
    tokenizer: Tokenizer
    n_ctx: int

    @property
    def choice(self) -> Choice:
        return self.application.chat.formats.choice(self.spec, self.tokenizer, self.owner)

    @property
    def system_prompt(self) -> str:
        return (self.conversation or self.new).system_prompt

    @property
    def settings(self) -> Mapping[str, Any]:
        """Sampling, thinking and variables, as far as they were set."""
        return usable_settings((self.conversation or self.new).sampling)


def subject_of(
    application: Application,
    owner: str,
    conversation_id: str,
    new: NewConversation = NOTHING_SET,
) -> Subject:
    """Raises NotFoundError, and what keeps the model's vocabulary from being read."""
    conversation = None
    wanted = application.storage.setting(owner, MODEL_SETTING)
    if conversation_id:
        conversation = application.storage.conversation(owner, conversation_id)
        wanted = conversation.model_id
    spec = application.engines.spec(wanted)
    if spec.error:
        raise spec.error
    if spec.remote:
        raise AppError("inspector.remote", name=spec.name)
    engine = application.engines.loaded(spec.id)
    if engine and engine.ready and engine.tokenizer:
        tokenizer, n_ctx = engine.tokenizer, engine.ready.n_ctx
    else:
        tokenizer = _vocabulary(spec.path, spec.path.stat().st_mtime_ns)
        n_ctx = min(spec.n_ctx_train or DEFAULT_N_CTX, DEFAULT_N_CTX)
    return Subject(application, owner, conversation, new, spec, tokenizer, n_ctx)


def recommended(application: Application, owner: str, conversation_id: str) -> Mapping[str, float]:
    """The sampling values that count where nothing was set: what the model's makers recommend.

    Blocks while a vocabulary is read. Empty where the format is unknown.
    """
    with contextlib.suppress(AppError, OSError):
        return subject_of(application, owner, conversation_id).choice.format.sampling
    return {}


@lru_cache(maxsize=4)
def _vocabulary(path: Path, mtime_ns: int) -> Tokenizer:
    return Tokenizer(path)
