"""Messages in the order that templates can take: one system, then user, assistant and tools.

Knows nothing about templates. What can be put in order is; the rest is a clear error, because a
template would make a malformed prompt of it without a word.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from webui.errors import AppError

BETWEEN = "\n\n"  # between messages that become one
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}

Message = dict[str, Any]  # role, content; of assistants tool_calls, of tools tool_call_id and name


class MessagesError(AppError):
    """These messages cannot become a prompt."""


def in_order(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """One system message at most, in front; then the turns, user and assistant alternating.

    Several systems become one, as do messages of one role in a row; empty ones are dropped. The
    last turn is the user's, a tool's, or the beginning of the answer (see `split_prefill`). A
    system message after an answer asks for something, so there it is the user's.
    Raises MessagesError: an unknown role, nothing said, an empty question at the end.
    """
    known = [_known(message) for message in messages]
    if known and known[-1]["role"] == "user" and not _is_spoken(known[-1]):
        raise MessagesError("prompts.no_question" if len(known) > 1 else "prompts.no_messages")
    spoken = [message for message in known if _is_spoken(message)]
    if not spoken:
        raise MessagesError("prompts.no_messages")
    if len(spoken) > 1 and spoken[-1]["role"] == "system":
        before = [message for message in spoken if message["role"] != "system"]
        if before and before[-1]["role"] == "assistant":
            spoken[-1] = {**spoken[-1], "role": "user"}
    system = BETWEEN.join(m["content"] for m in spoken if m["role"] == "system")
    turns = _joined(message for message in spoken if message["role"] != "system")
    return [{"role": "system", "content": system}, *turns] if system else turns


def split_prefill(ordered: Sequence[Message]) -> tuple[list[Message], str]:
    """The messages to answer, and how the answer begins ("" = not said)."""
    last = ordered[-1]
    if last["role"] != "assistant" or last.get("tool_calls"):
        return list(ordered), ""
    return list(ordered[:-1]), last["content"]


def system_in_first_user(messages: Sequence[Message]) -> list[Message]:
    """For templates without a system role: its text stands before the first question."""
    if not messages or messages[0]["role"] != "system":
        return list(messages)
    system, *rest = messages
    if not rest or rest[0]["role"] != "user":
        return [{**system, "role": "user"}, *rest]
    first, *others = rest
    return [{**first, "content": system["content"] + BETWEEN + first["content"]}, *others]


def user_first(messages: Sequence[Message]) -> list[Message]:
    """For templates that begin with a question: an empty one stands before the first answer."""
    num_systems = 1 if messages and messages[0]["role"] == "system" else 0
    head, turns = list(messages[:num_systems]), list(messages[num_systems:])
    if turns and turns[0]["role"] == "user":
        return [*head, *turns]
    return [*head, {"role": "user", "content": ""}, *turns]


def _known(message: Mapping[str, Any]) -> Message:
    known: Message = {"role": _role(message), "content": _content(message)}
    for key in ("tool_calls", "tool_call_id", "name"):
        if message.get(key):
            known[key] = message[key]
    return known


def _is_spoken(message: Message) -> bool:
    return bool(
        message["content"].strip() or message.get("tool_calls") or message["role"] == "tool"
    )


def _role(message: Mapping[str, Any]) -> str:
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise MessagesError("prompts.unknown_role", role=repr(role)[:40])
    return ROLES[role]


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content", "")
    if not isinstance(content, str):
        raise MessagesError("prompts.content_not_text")
    return content


def _joined(messages: Iterable[Message]) -> list[Message]:
    """Messages of the same role in a row as one; what tools say stays apart, as do their calls."""
    turns: list[Message] = []
    for message in messages:
        last = turns[-1] if turns else None
        if last and _can_join(last, message):
            texts = [text for text in (last["content"], message["content"]) if text.strip()]
            turns[-1] = {**last, **message, "content": BETWEEN.join(texts)}
        else:
            turns.append(message)
    return turns


def _can_join(first: Message, second: Message) -> bool:
    is_same = first["role"] == second["role"] != "tool"
    return is_same and not first.get("tool_calls")
