"""What of a conversation goes into the prompt: whole turns, the newest ones that fit.

The oldest turns are left out a few at a time, not one per question: the beginning of the prompt
then stays the same for several turns, and the engine finds it in its cache.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from webui.engine.request import SamplingParams
from webui.engine.tokenizer import Tokenizer, num_tokens
from webui.errors import AppError
from webui.prompts import RenderedPrompt
from webui.storage import Message

ANSWER_SHARE = 4  # a quarter of the context is kept for the answer, or max_tokens if that is less
KEEP_PERCENT = 65  # of the room for history that is kept when turns are dropped
TURN_TOKENS = 12  # at most, what a template writes around a turn


class QuestionTooLongError(AppError):
    """The newest turn alone does not fit; says by how much, and what takes how much."""

    def __init__(self, num_tokens: int, n_ctx: int, num_system: int) -> None:
        super().__init__(
            "chat.question_too_long",
            n_ctx=n_ctx,
            num_over=num_tokens + 1 - n_ctx,
            num_question=num_tokens - num_system,
            num_system=num_system,
        )


@dataclass(frozen=True, slots=True)
class ContextUsage:
    """How full the window is, in tokens, and how many of the turns are still inside."""

    num_tokens: int
    n_ctx: int
    num_turns: int
    num_dropped_turns: int


@dataclass(frozen=True, slots=True)
class FittedPrompt:
    token_ids: tuple[int, ...]
    rendered: RenderedPrompt  # exactly what the model reads
    sampling: SamplingParams
    usage: ContextUsage


Render = Callable[[Sequence[Mapping[str, str]]], RenderedPrompt]
Turn = list[dict[str, str]]  # a user message and what was answered


def fit_history(
    tokenizer: Tokenizer,
    render: Render,
    n_ctx: int,
    system_prompt: str,
    path: Sequence[Message],
    sampling: SamplingParams,
) -> FittedPrompt:
    """The prompt for `path` with as many of its newest turns as leave room for an answer.

    Raises QuestionTooLongError when even the newest turn alone does not fit, and what the template
    raises.
    """
    turns = _turns(path)
    room = room_for_prompt(n_ctx, sampling.max_tokens)
    enough = 2 * n_ctx  # more need not be known exactly

    def count(text: str) -> int:
        return num_tokens(tokenizer.encode_text, text, enough)

    sizes = [sum(count(message["content"]) + TURN_TOKENS for message in turn) for turn in turns]
    num_system = count(system_prompt)
    if num_system + sizes[-1] > enough:
        raise QuestionTooLongError(num_system + sizes[-1], n_ctx, num_system)
    first = _first_kept(sizes, room - num_system)
    while True:
        messages = [message for turn in turns[first:] for message in turn]
        if system_prompt.strip():
            messages.insert(0, {"role": "system", "content": system_prompt})
        rendered = render(messages)
        ids = tokenizer.encode(rendered)
        if len(ids) <= room or first >= len(turns) - 1:
            break
        first += 1
    if len(ids) >= n_ctx:
        raise QuestionTooLongError(len(ids), n_ctx, num_system)
    usage = ContextUsage(len(ids), n_ctx, len(turns), first)
    fitted = replace(sampling, max_tokens=min(sampling.max_tokens, n_ctx - len(ids)))
    return FittedPrompt(tuple(ids), rendered, fitted, usage)


def room_for_prompt(n_ctx: int, max_tokens: int) -> int:
    """Tokens of a context that a prompt may take, so that there is room for an answer."""
    return n_ctx - min(max_tokens, n_ctx // ANSWER_SHARE)


def _turns(path: Sequence[Message]) -> list[Turn]:
    """User messages, each with the answers that follow it; empty answers say nothing."""
    turns: list[Turn] = []
    for message in path:
        if message.role == "user" or not turns:
            turns.append([])
        if message.content:
            turns[-1].append({"role": str(message.role), "content": message.content})
    return turns


def _first_kept(sizes: Sequence[int], room: int) -> int:
    """Index of the first turn to keep.

    Replays the conversation: whenever a new turn overflows the room, old ones go until
    KEEP_PERCENT of it is used. So the answer depends on the turns only, and changes rarely.
    """
    first = total = 0
    for index, size in enumerate(sizes):
        total += size
        if total > room:
            while first < index and total > room * KEEP_PERCENT // 100:
                total -= sizes[first]
                first += 1
    return first
