"""Shorten: the part of a question that fits its model's context, and what is left out with it.

Nothing is stored or sent: the user sees both parts and decides. Knows nothing about Gradio or HTTP.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from webui.engine.client import Engine
from webui.engine.pool import EnginePool
from webui.engine.tokenizer import num_tokens
from webui.errors import AppError
from webui.prompts import PromptFormat
from webui.storage import Conversation, Storage
from webui.tasks.chat.context import room_for_prompt
from webui.tasks.formats import Formats, known_variables
from webui.tasks.sampling import sampling_of

BOUNDARIES = "。．！？\n.!?"  # sentences are kept whole where one ends nearby
MAX_SNAP_CHARS = 200


class Keep(StrEnum):
    HEAD = "head"
    TAIL = "tail"


@dataclass(frozen=True, slots=True)
class Shortened:
    kept: str
    dropped: str


async def shorten(
    storage: Storage, pool: EnginePool, formats: Formats, owner: str, message_id: str, keep: Keep
) -> Shortened:
    """The beginning or the end of a question, as long as fits, and the rest.

    Loads the conversation's model if it is not loaded. Raises NotFoundError, AppError when the
    system prompt alone leaves no room, and what loading and building a prompt raise.
    """
    message = storage.message(owner, message_id)
    conversation = storage.conversation(owner, message.conversation_id)
    spec = pool.spec(conversation.model_id)
    async with pool.lease(spec.id, owner) as engine:
        assert engine.tokenizer, "a leased engine is loaded"
        form = formats.choice(spec, engine.tokenizer, owner).format
        count, room = _counter(engine, form, conversation)
        return await asyncio.to_thread(cut, count, message.content, room, keep)


def cut(count: Callable[[str], int], text: str, room: int, keep: Keep) -> Shortened:
    """Cut `text` so that `count` of the kept part, a prompt's tokens, is at most `room`.

    Raises AppError when nothing but an empty question would fit.
    """
    base, total = count("?"), count(text)
    if base >= room:
        raise AppError("chat.no_room_for_question", num_system=base, room=room)
    size = len(text)
    while total > room and size:
        size = min(size - 1, int(size * 0.98 * (room - base) / max(1, total - base)))
        total = count(_part(text, size, keep))
    size = _at_boundary(text, size, keep)
    if keep is Keep.HEAD:
        return Shortened(text[:size], text[size:])
    return Shortened(text[len(text) - size :], text[: len(text) - size])


def _counter(
    engine: Engine, form: PromptFormat, conversation: Conversation
) -> tuple[Callable[[str], int], int]:
    """(tokens of the prompt with this question alone, how many there may be)"""
    assert engine.tokenizer and engine.ready
    tokenizer, settings = engine.tokenizer, conversation.sampling
    variables = known_variables(form, settings.get("variables"))
    system = conversation.system_prompt
    before = [{"role": "system", "content": system}] if system.strip() else []

    enough = 2 * engine.ready.n_ctx

    def count(question: str) -> int:
        estimate = num_tokens(tokenizer.encode_text, question, enough)
        if estimate > enough:  # far too long: to render all of it would take long too
            return estimate
        messages = [*before, {"role": "user", "content": question}]
        prompt = form.render(messages, thinking=settings.get("thinking"), variables=variables)
        return len(tokenizer.encode(prompt))

    sampling = sampling_of({**form.sampling, **settings})
    return count, room_for_prompt(engine.ready.n_ctx, sampling.max_tokens)


def _part(text: str, size: int, keep: Keep) -> str:
    # An empty question is no question: a format may refuse it.
    return (text[:size] if keep is Keep.HEAD else text[len(text) - size :]) or "?"


def _at_boundary(text: str, size: int, keep: Keep) -> int:
    """A size not above `size` that keeps sentences whole, where one ends nearby."""
    if size in (0, len(text)):
        return size
    nearby = range(size, max(0, size - MAX_SNAP_CHARS), -1)
    if keep is Keep.HEAD:
        return next((n for n in nearby if text[n - 1] in BOUNDARIES), size)
    return next((n for n in nearby if text[len(text) - n - 1] in BOUNDARIES), size)
