"""Messages and replies → the values that the browser draws, with every sentence in the reader's
language. Knows nothing about Gradio, nor where messages come from."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from webui.engine.request import FinishReason
from webui.storage import Message, Role, Status
from webui.strings import Language, text
from webui.tasks.chat.chat import ReplyState, ReplyUpdate
from webui.tasks.chat.context import ContextUsage
from webui.tasks.chat.reply import REPETITION
from webui.ui.chat.evidence_view import EvidenceView, evidence_view
from webui.ui.chat.markdown import StreamingMarkdown, plain_blocks, to_blocks

MAX_FORMATTED_CHARS = 300_000  # of one transcript; to_blocks has a limit for each text of its own
DRAWING_PAUSE = 4  # times as long as the drawing took
CUTS: dict[str, str] = {FinishReason.LENGTH: "ui.cut_at_limit", REPETITION: "ui.cut_at_repetition"}
NUM_TURNS_SHOWN = 10  # a turn: a question and its answer


class MessageView(TypedDict):
    """One message of the transcript. `text` is the source (copied, edited), `blocks` its HTML."""

    id: str
    role: str
    text: str
    blocks: list[str]
    reasoning: list[str]
    model: str  # the name of the one that wrote it, "" where that is not known
    statistics: list[str]  # the quiet line below
    notice: str  # one sentence, if it did not end well
    is_problem: bool  # the notice tells of an error
    too_long: bool  # the question does not fit: the reader chooses what to leave out
    has_long_system: bool  # and the system prompt is part of why
    is_writing: bool  # another tab, or one that has just been closed
    version: int
    num_versions: int
    begins_window: bool  # the first message that the model still gets
    evidence: EvidenceView | None  # of an answer from documents


class UsageView(TypedDict):
    """The context meter."""

    fraction: float
    label: str
    detail: str  # in full
    warning: str  # "" while everything fits


class LiveView(TypedDict):
    """The answer that is being written now."""

    conversation: str
    message: str
    active: bool  # False: this was the last update
    status: str
    blocks: list[str]
    reasoning: list[str]
    error: str


def message_views(
    path: Sequence[Message],
    shown: Sequence[Message],
    usage: ContextUsage | None,
    language: Language,
    name_of: Callable[[str], str],
) -> list[MessageView]:
    """Those of `path` that are `shown`, oldest first. May take seconds: call it in a thread.

    `name_of` a model's id.
    What is formatted is bounded: the newest come first, and of more than a book only the text.
    """
    first_inside = _first_inside(path, usage)
    num_left = MAX_FORMATTED_CHARS
    views = []
    for message in reversed(shown):
        num_left -= len(message.content) + len(message.reasoning)
        draw = to_blocks if num_left >= 0 else plain_blocks
        view = _message_view(message, message.id == first_inside, language, draw)
        if message.role is Role.ASSISTANT:
            view["model"] = name_of(message.model_id)
        views.append(view)
    return views[::-1]


def last_turns(path: Sequence[Message], num_turns: int) -> tuple[list[Message], int]:
    """The last `num_turns` turns of `path`, and how many turns come before them."""
    starts = [index for index, message in enumerate(path) if message.role is Role.USER]
    if len(starts) <= num_turns:
        return list(path), 0
    return list(path[starts[-num_turns] :]), len(starts) - num_turns


def usage_view(usage: ContextUsage | None, language: Language) -> UsageView | None:
    if usage is None or not usage.n_ctx:
        return None
    dropped = usage.num_dropped_turns
    warning = text("ui.usage_dropped", language, n=dropped) if dropped else ""
    return UsageView(
        fraction=min(1.0, usage.num_tokens / usage.n_ctx),
        label=f"{usage.num_tokens:,} / {usage.n_ctx:,}",
        detail=warning or text("ui.usage_all", language),
        warning=warning,
    )


class LiveReply:
    """Turns the updates of one reply into views; keeps what is drawn already."""

    def __init__(self, conversation_id: str, language: Language) -> None:
        self._conversation_id = conversation_id
        self._language = language
        self._answer = StreamingMarkdown()
        self._reasoning = StreamingMarkdown()
        self._due_at = 0.0

    def is_due(self) -> bool:
        """Whether to draw an update: in a fifth of the time.

        A long block is drawn anew at each update until it ends; the next one comes soon.
        """
        return time.monotonic() >= self._due_at

    def view(self, update: ReplyUpdate, elapsed_s: float, waits_for: str) -> LiveView:
        """`elapsed_s`: by the clock; `waits_for`: a sentence, "" when it waits for nothing.

        Call it in a thread.
        """
        began = time.monotonic()
        active = not update.is_over
        view = LiveView(
            conversation=self._conversation_id,
            message=update.message_id,
            active=active,
            status=status_line(update, elapsed_s, waits_for, self._language) if active else "",
            blocks=self._answer.blocks(update.text),
            reasoning=self._reasoning.blocks(update.reasoning),
            error=update.error,
        )
        now = time.monotonic()
        self._due_at = now + DRAWING_PAUSE * (now - began)
        return view


def ended(conversation_id: str, error: str = "") -> LiveView:
    """No answer is being written in this conversation (any more)."""
    return LiveView(
        conversation=conversation_id,
        message="",
        active=False,
        status="",
        blocks=[],
        reasoning=[],
        error=error,
    )


def status_line(update: ReplyUpdate, elapsed_s: float, waits_for: str, language: Language) -> str:
    """What the model is doing before and while it writes."""
    if waits_for and not update.num_waiting_ahead:
        return waits_for
    match update.state:
        case ReplyState.SEARCHING:
            return text("ui.status_searching", language)
        case ReplyState.LOADING if update.load_fraction:
            return text("ui.status_loading", language, percent=round(update.load_fraction * 100))
        case ReplyState.QUEUED if update.num_waiting_ahead:
            return text("ui.status_queued", language, n=update.num_waiting_ahead + 1)
        case ReplyState.QUEUED | ReplyState.LOADING:
            return text("ui.status_next", language)
        case ReplyState.READING:
            return text(
                "ui.status_reading",
                language,
                done=update.num_prompt_done,
                total=update.num_prompt_tokens,
            )
        case _:
            return text("ui.status_writing", language, seconds=int(elapsed_s))


def statistics_line(stats: Mapping[str, Any], language: Language) -> list[str]:
    """Tokens, tokens per second, elapsed time and time to first token, as far as known."""
    if not stats.get("completion_tokens"):
        return []  # nothing was written: a notice says why
    return [
        text(f"ui.stat_{name}", language, value=stats[name])
        for name in ("completion_tokens", "tokens_per_s", "elapsed_s", "time_to_first_token_s")
        if isinstance(stats.get(name), int | float)
    ]


def _message_view(
    message: Message, begins_window: bool, language: Language, draw: Callable[[str], list[str]]
) -> MessageView:
    is_answer = message.role is Role.ASSISTANT
    too_long = message.stats.get("too_long")
    num_system = too_long.get("num_system") if isinstance(too_long, Mapping) else 0
    return MessageView(
        id=message.id,
        role=str(message.role),
        text=message.content,
        blocks=draw(message.content) if is_answer else [],
        reasoning=draw(message.reasoning),
        model="",
        statistics=statistics_line(message.stats, language) if is_answer else [],
        notice=_notice(message, language),
        is_problem=message.status is Status.ERROR or bool(message.stats.get("error")),
        too_long=bool(too_long) and message.status is Status.ERROR,
        has_long_system=bool(num_system),
        is_writing=message.status is Status.WRITING,
        version=message.version,
        num_versions=message.num_versions,
        begins_window=begins_window,
        evidence=evidence_view(message, language) if is_answer else None,
    )


def _notice(message: Message, language: Language) -> str:
    if message.role is Role.USER or message.status is Status.COMPLETE:
        cut = CUTS.get(str(message.stats.get("finish_reason")))
        return text(cut, language) if cut else ""
    recorded = message.stats.get("error")
    if isinstance(recorded, str) and recorded:
        return recorded
    if message.status is Status.PARTIAL and not (message.content or message.reasoning):
        return text("ui.answer_not_begun", language)
    return text(f"ui.answer_{message.status}", language)


def _first_inside(path: Sequence[Message], usage: ContextUsage | None) -> str:
    """Id of the question that begins the first turn inside the window; "" when all fit."""
    if usage is None or not usage.num_dropped_turns:
        return ""
    questions = [message.id for message in path if message.role is Role.USER]
    return questions[usage.num_dropped_turns] if usage.num_dropped_turns < len(questions) else ""
