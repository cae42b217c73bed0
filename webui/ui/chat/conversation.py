"""One conversation on the page: what is shown of it, and what a reader can do to it.

Plain functions of (application, owner, …), each safe to call with any id: storage checks the
owner. Knows nothing about Gradio.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, TypedDict

from webui.application import Application
from webui.errors import AppError
from webui.storage import DocumentChoice, Role
from webui.strings import Language
from webui.tasks.chat.context import ContextUsage
from webui.tasks.chat.shorten import Keep, shorten
from webui.tasks.sampling import settings_of
from webui.ui.chat.message_view import (
    NUM_TURNS_SHOWN,
    LiveReply,
    LiveView,
    MessageView,
    UsageView,
    ended,
    last_turns,
    message_views,
    usage_view,
)

MAX_TURNS_SHOWN = 10_000
LIVE_S = 0.5  # an answer that is being written is never quiet for longer
MODEL_SETTING = "model_id"
MANNER = ("thinking", "variables")
MAX_DROPPED_SHOWN = 600  # characters, at each end


class BadRequestError(AppError):
    """An event whose data this page never sends."""


class TranscriptView(TypedDict):
    """What the browser draws of a conversation; `conversation` is "" for a new one."""

    conversation: str
    title: str
    messages: list[MessageView]
    num_earlier: int
    usage: UsageView | None
    acknowledged: str  # the sending that this view contains
    compose: str  # text that goes back into the composer
    notice: str
    documents: dict[str, Any]  # the DocumentChoice


@dataclass(frozen=True, slots=True)
class NewConversation:
    """What the settings panel says about a conversation that does not exist yet."""

    system_prompt: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    documents: DocumentChoice = DocumentChoice()


@dataclass(frozen=True, slots=True)
class RunRequest:
    """send a message, edit one (a new branch), or retry: another answer to the last question."""

    action: str
    conversation: str = ""
    message: str = ""
    text: str = ""
    nonce: str = ""
    manner: Mapping[str, Any] = field(default_factory=dict)  # of a conversation that begins

    @classmethod
    def parse(cls, data: object) -> "RunRequest":
        """From a client's event. Raises BadRequestError."""
        names = ("action", "conversation", "message", "text", "nonce")
        fields = {name: text_of(data, name) for name in names}
        if fields["action"] not in ("send", "edit", "retry"):
            raise BadRequestError("ui.bad_request")
        return cls(**fields, manner=manner_of(data))

    @property
    def is_empty(self) -> bool:
        return self.action != "retry" and not self.text.strip()


def text_of(data: object, name: str) -> str:
    """The string `name` of a client's event, "" when missing. Raises BadRequestError."""
    value = data.get(name, "") if isinstance(data, dict) else None
    if not isinstance(value, str):
        raise BadRequestError("ui.bad_request")
    return value


def number_of(data: object, name: str, default: int) -> int:
    """The whole number `name` of a client's event. Raises BadRequestError."""
    value = data.get(name, default) if isinstance(data, dict) else None
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRequestError("ui.bad_request")
    return value


def manner_of(data: object) -> dict[str, Any]:
    """How the model is to answer, of a client's event: think or not, the format's variables.

    Whether a format takes these values is checked when it is used. Raises BadRequestError.
    """
    given = data.get("manner") if isinstance(data, dict) else None
    given = given if isinstance(given, dict) else {}
    chosen = {
        name: given[name] for name in ("thinking", "variables") if given.get(name) is not None
    }
    try:
        manner = settings_of(chosen)
    except AppError as error:
        raise BadRequestError("ui.bad_request") from error
    return {name: value for name, value in manner.items() if value != {}}


async def transcript(
    application: Application,
    owner: str,
    conversation_id: str,
    language: Language,
    *,
    num_turns: int = NUM_TURNS_SHOWN,
    **extra: str,
) -> TranscriptView:
    """What is shown of a conversation. `extra`: acknowledged, compose, notice."""
    usage = await _usage(application, owner, conversation_id)
    return await asyncio.to_thread(
        _transcript, application, owner, conversation_id, usage, language, num_turns, extra
    )


def _transcript(
    application: Application,
    owner: str,
    conversation_id: str,
    usage: ContextUsage | None,
    language: Language,
    num_turns: int,
    extra: Mapping[str, str],
) -> TranscriptView:
    conversation = application.storage.conversation(owner, conversation_id)
    path = application.storage.path(owner, conversation_id)
    shown, num_earlier = last_turns(path, max(1, min(num_turns, MAX_TURNS_SHOWN)))
    catalog, wrote = application.engines.catalog, {m.model_id for m in shown if m.model_id}
    names = {"": "", **{model_id: catalog.name_of(model_id) for model_id in wrote}}
    return TranscriptView(
        conversation=conversation.id,
        title=conversation.title,
        messages=message_views(path, shown, usage, language, names.__getitem__),
        num_earlier=num_earlier,
        usage=usage_view(usage, language),
        acknowledged=extra.get("acknowledged", ""),
        compose=extra.get("compose", ""),
        notice=extra.get("notice", ""),
        documents=asdict(conversation.documents),
    )


def blank(notice: str = "") -> TranscriptView:
    """A conversation that begins with the next message."""
    return TranscriptView(
        conversation="",
        title="",
        messages=[],
        num_earlier=0,
        usage=None,
        acknowledged="",
        compose="",
        notice=notice,
        documents=asdict(DocumentChoice()),
    )


def begin(application: Application, owner: str, request: RunRequest, new: NewConversation) -> str:
    """Store the question of `request`; the id of its conversation."""
    storage, chat = application.storage, application.chat
    if request.action == "edit":
        return chat.edit(owner, request.message, request.text).conversation_id
    if request.action == "retry":
        return storage.conversation(owner, request.conversation).id
    conversation_id = request.conversation
    if not conversation_id:
        conversation_id = storage.create_conversation(
            owner,
            system_prompt=new.system_prompt,
            sampling=dict(new.sampling),
            model_id=storage.setting(owner, MODEL_SETTING),
            documents=new.documents,
        ).id
    chat.send(owner, conversation_id, request.text)
    return conversation_id


async def begin_reply(
    application: Application,
    owner: str,
    request: RunRequest,
    new: NewConversation,
    language: Language,
) -> str:
    """Store the question, and let its answer be written; the id of its conversation."""
    _check_free(application, owner, request)
    with application.replies.beginning(owner, request.conversation):  # a long text takes a moment
        conversation_id = await asyncio.to_thread(begin, application, owner, request, new)
    application.replies.start(owner, conversation_id, language)
    return conversation_id


async def follow(
    application: Application,
    owner: str,
    conversation_id: str,
    language: Language,
    acknowledged: str = "",
) -> AsyncGenerator[tuple[TranscriptView | None, LiveView], None]:
    """The answer that is being written, for any tab: the transcript at both ends, live views
    between. Whoever stops listening does not stop it."""
    live = LiveReply(conversation_id, language)
    view = partial(
        transcript, application, owner, conversation_id, language, acknowledged=acknowledged
    )
    jobs, job = application.jobs, application.replies.running(owner, conversation_id)
    is_first = True
    if job:
        async with contextlib.aclosing(job.follow(LIVE_S)) as updates:
            async for update in updates:
                if update is None or update.is_over:
                    continue  # how it ended is in the transcript
                if live.is_due():
                    waits_for = jobs.waits_for(job, language) if jobs.blocking(job) else ""
                    drawn = await asyncio.to_thread(live.view, update, job.elapsed_s, waits_for)
                    yield await view() if is_first else None, drawn
                    is_first = False
    error = job.error.message(language) if job and job.error else ""
    yield await view(), ended(conversation_id, error)


async def undo(
    application: Application, owner: str, conversation_id: str, language: Language
) -> TranscriptView:
    """Take the last question back into the composer; its branch is kept."""
    text = application.storage.undo(owner, conversation_id)
    return await transcript(application, owner, conversation_id, language, compose=text)


async def show_version(
    application: Application, owner: str, message_id: str, version: int, language: Language
) -> TranscriptView:
    application.storage.show_version(owner, message_id, version)
    conversation_id = application.storage.message(owner, message_id).conversation_id
    return await transcript(application, owner, conversation_id, language)


async def delete_message(
    application: Application, owner: str, message_id: str, language: Language
) -> TranscriptView:
    conversation_id = application.storage.message(owner, message_id).conversation_id
    application.storage.delete_message(owner, message_id)
    return await transcript(application, owner, conversation_id, language)


async def shortened(
    application: Application, owner: str, message_id: str, keep: str
) -> dict[str, str | int]:
    """The part of a too long question that fits, and enough of the rest to decide by."""
    if keep not in set(Keep):
        raise BadRequestError("ui.bad_request")
    parts = await shorten(
        application.storage,
        application.engines,
        application.chat.formats,
        owner,
        message_id,
        Keep(keep),
    )
    return {
        "message": message_id,
        "keep": keep,
        "kept": parts.kept,
        "num_dropped": len(parts.dropped),
        "dropped_begins": parts.dropped[:MAX_DROPPED_SHOWN],
        "dropped_ends": parts.dropped[MAX_DROPPED_SHOWN:][-MAX_DROPPED_SHOWN:],
    }


def _check_free(application: Application, owner: str, request: RunRequest) -> None:
    """Before anything is stored: one answer at a time in a conversation."""
    conversation_id = request.conversation
    if request.action == "edit":
        message = application.storage.message(owner, request.message)
        if message.role is not Role.USER:
            raise BadRequestError("ui.bad_request")
        conversation_id = message.conversation_id
    application.replies.check_free(owner, conversation_id)


async def _usage(application: Application, owner: str, conversation_id: str) -> ContextUsage | None:
    """None while no model is loaded, or when this one cannot say (its template fails)."""
    try:
        return await application.chat.context_usage(owner, conversation_id)
    except AppError:
        return None
