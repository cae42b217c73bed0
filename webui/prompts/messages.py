"""Messages in the order that every template can take: one system, then user and assistant in turn.

Knows nothing about templates. What can be put in order is; the rest is a clear error, because a
template would make a malformed prompt of it without a word.
"""

from collections.abc import Iterable, Mapping, Sequence

from webui.errors import AppError

BETWEEN = "\n\n"  # between messages that become one
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


class MessagesError(AppError):
    """These messages cannot become a prompt."""


def in_order(messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """One system message at most, in front; then user, assistant, … and user last.

    Several systems become one, as do messages of one role in a row; empty ones are dropped.
    Raises MessagesError: an unknown or tool role, an assistant first, no question at the end.
    """
    known = [{"role": _role(message), "content": _content(message)} for message in messages]
    spoken = [message for message in known if message["content"].strip()]
    system = BETWEEN.join(m["content"] for m in spoken if m["role"] == "system")
    turns = _joined(message for message in spoken if message["role"] != "system")
    if not turns:
        raise MessagesError("prompts.no_messages")
    if turns[0]["role"] != "user":
        raise MessagesError("prompts.assistant_first")
    last = [message for message in known if message["role"] != "system"][-1]
    if last["role"] != "user" or not last["content"].strip():
        raise MessagesError("prompts.no_question")
    return [{"role": "system", "content": system}, *turns] if system else turns


def system_in_first_user(messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """For templates without a system role: its text stands before the first question."""
    if messages[0]["role"] != "system":
        return list(messages)
    system, first, *rest = messages
    return [{**first, "content": system["content"] + BETWEEN + first["content"]}, *rest]


def _role(message: Mapping[str, str]) -> str:
    role = message.get("role")
    if role in ("tool", "function"):
        raise MessagesError("prompts.tool_role")
    if not isinstance(role, str) or role not in ROLES:
        raise MessagesError("prompts.unknown_role", role=repr(role)[:40])
    return ROLES[role]


def _content(message: Mapping[str, str]) -> str:
    content = message.get("content", "")
    if not isinstance(content, str):
        raise MessagesError("prompts.content_not_text")
    return content


def _joined(messages: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Messages of the same role in a row as one."""
    turns: list[dict[str, str]] = []
    for message in messages:
        if turns and turns[-1]["role"] == message["role"]:
            both = turns[-1]["content"] + BETWEEN + message["content"]
            turns[-1] = {**message, "content": both}
        else:
            turns.append(message)
    return turns
