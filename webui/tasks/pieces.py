"""Piece: news of one answer, as programs get it. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from webui.engine.grammar.checking import Checker
from webui.engine.request import FinishReason, TokenLogprob, Usage
from webui.errors import AppError


class BadAskError(AppError):
    """What is asked for cannot be computed; `parameter` names what to change."""

    def __init__(self, key: str, parameter: str, **values: object) -> None:
        super().__init__(key, parameter=parameter, **values)
        self.parameter = parameter


class CallChoice(StrEnum):
    AUTO = "auto"  # the model decides
    REQUIRED = "required"  # it must call


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that may be called. `grammar` holds its arguments."""

    name: str
    grammar: str  # GBNF
    shown: Mapping[str, Any]  # as templates get it
    checker: Checker | None = None  # of what the grammar does not hold


@dataclass(frozen=True, slots=True)
class Toolbox:
    """`tools` are told to the model; it may call those whose names are `allowed`."""

    tools: tuple[Tool, ...] = ()
    allowed: tuple[str, ...] = ()
    choice: CallChoice = CallChoice.AUTO
    is_parallel: bool = True

    def get(self, name: str) -> Tool:
        return next(tool for tool in self.tools if tool.name == name)


@dataclass(frozen=True, slots=True)
class CallPart:
    """More of one call: its first part has `id` and `name`; then its arguments, JSON, in pieces."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """News of one choice. Its last one carries `finish_reason` and `usage`."""

    choice: int
    text: str = ""
    reasoning: str = ""
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    call: CallPart | None = None
    prompt_ids: tuple[int, ...] = ()  # with the first piece, where the prompt is scored
    prompt_logprobs: tuple[TokenLogprob, ...] = ()  # of all of them but the first
