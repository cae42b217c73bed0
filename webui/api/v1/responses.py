"""POST /responses: OpenAI's Responses API on the same answers as /chat/completions.

What was answered is kept for `previous_response_id` in a bounded store in memory, unless the
setting says otherwise; a restart forgets it. Knows nothing about models.
"""

import secrets
import time
from collections import OrderedDict
from typing import Any

from webui.api.v1.objects import Answer, Object, usage_of
from webui.api.v1.sse import named_event
from webui.tasks.complete import Started
from webui.tasks.pieces import BadAskError, CallPart, Piece

MAX_STORED_CHARS = 20_000_000  # of all conversations together


class ResponseStore:
    """The last conversations, by the id of their last response. Only their owner finds them."""

    def __init__(self, max_kept: int) -> None:
        self._max_kept = max_kept
        self._kept: OrderedDict[tuple[str, str], tuple[list[Object], Object, int]] = OrderedDict()
        self._num_chars = 0

    @property
    def is_open(self) -> bool:
        return self._max_kept > 0

    def keep(self, owner: str, messages: list[Object], response: Object) -> None:
        if not self._max_kept:
            return
        size = len(str(messages))
        self._kept[owner, response["id"]] = (messages, response, size)
        self._num_chars += size
        while len(self._kept) > self._max_kept or self._num_chars > MAX_STORED_CHARS:
            _, (_, _, oldest) = self._kept.popitem(last=False)
            self._num_chars -= oldest

    def messages(self, owner: str, response_id: str | None) -> list[Object]:
        """The conversation up to this response. Raises BadAskError when it is not kept."""
        return self._found(owner, response_id)[0] if response_id else []

    def response(self, owner: str, response_id: str) -> Object:
        return self._found(owner, response_id)[1]

    def forget(self, owner: str, response_id: str) -> None:
        self._num_chars -= self._found(owner, response_id)[2]
        del self._kept[owner, response_id]

    def _found(self, owner: str, response_id: str) -> tuple[list[Object], Object, int]:
        try:
            return self._kept[owner, response_id]
        except KeyError:
            key = "not_kept" if self._max_kept else "keeps_none"
            raise BadAskError(
                f"serving.{key}", "previous_response_id", id=response_id[:60]
            ) from None


class ResponseShape:
    """response objects and their stream of named events. One answer only."""

    ending = b""

    def __init__(
        self, asked: Object, store: ResponseStore, owner: str, history: list[Object]
    ) -> None:
        """`asked`: what of the request the object repeats; `history`: the messages asked."""
        self._asked = asked
        self._store = store
        self._owner = owner
        self._history = history
        self._id = "resp_" + secrets.token_hex(16)
        self._created = int(time.time())
        self._model = ""
        self._answer = Answer()
        self._items: list[Object] = []
        self._number = 0
        self._num_prompt_tokens = 0
        self._response: Object = {}

    # --- the shape that Answering asks for -------------------------------------------------------

    def start(self, started: Started) -> list[Object]:
        self._model = started.model_id
        self._num_prompt_tokens = started.num_prompt_tokens
        response = self._object("in_progress")
        return [
            self._event("response.created", response=response),
            self._event("response.in_progress", response=response),
        ]

    def chunks(self, piece: Piece) -> list[Object]:
        self._answer.take(piece)
        found: list[Object] = []
        if piece.reasoning:
            found += self._opened("reasoning")
            found.append(self._delta("response.reasoning_text.delta", piece.reasoning, part=True))
            self._items[-1]["content"][0]["text"] += piece.reasoning
        if piece.text:
            found += self._opened("message")
            found.append(self._delta("response.output_text.delta", piece.text, part=True))
            self._items[-1]["content"][0]["text"] += piece.text
        if piece.call:
            found += self._called(piece.call)
        if piece.finish_reason:
            found += self._closed()
            self._items = self._items or [self._new_item("message")]
            response = self._response = self._finished()
            kind = "completed" if response["status"] == "completed" else "incomplete"
            found.append(self._event(f"response.{kind}", response=response))
        return found

    def whole(self, answers: list[Answer], usage: Object) -> Object:
        """What the chunks have made; the last one brought it."""
        return self._response

    def usage_chunk(self, usage: Object) -> Object:
        raise AssertionError("usage is part of the last event")

    def written(self, chunk: Object) -> bytes:
        return named_event(chunk["type"], chunk)

    def failed(self, body: Object) -> Object:
        return self._event("error", **body["error"])

    # --- items -----------------------------------------------------------------------------------

    def _called(self, part: CallPart) -> list[Object]:
        found: list[Object] = []
        if part.name:
            found += self._closed()
            item = self._new_item("function_call")
            item |= {"call_id": part.id, "name": part.name, "arguments": ""}
            found.append(self._item_event("response.output_item.added", item))
            self._items.append(item)
        if part.arguments:
            self._items[-1]["arguments"] += part.arguments
            found.append(self._delta("response.function_call_arguments.delta", part.arguments))
        return found

    def _opened(self, kind: str) -> list[Object]:
        """The events that begin an item of this kind, unless the last one is of it."""
        if self._items and self._items[-1]["type"] == kind:
            return []
        found = self._closed()
        item = self._new_item(kind)
        added = {**item, "content": []}
        found.append(self._item_event("response.output_item.added", added))
        self._items.append(item)
        found.append(self._part_event("response.content_part.added"))
        return found

    def _closed(self) -> list[Object]:
        """The events that end the last item."""
        if not self._items or self._items[-1]["status"] == "completed":
            return []
        item = self._items[-1]
        item["status"] = "completed"
        found: list[Object] = []
        if item["type"] == "function_call":
            done = "response.function_call_arguments.done"
            named = {"name": item["name"], "arguments": item["arguments"]}
            found.append(self._event(done, **self._place(), **named))
        else:
            kind = "output_text" if item["type"] == "message" else "reasoning_text"
            text = item["content"][0]["text"]
            extra: Object = {"logprobs": []} if kind == "output_text" else {}
            place = {**self._place(), "content_index": 0}
            found.append(self._event(f"response.{kind}.done", **place, text=text, **extra))
            found.append(self._part_event("response.content_part.done"))
        index = len(self._items) - 1
        ended = self._event("response.output_item.done", output_index=index, item=dict(item))
        return [*found, ended]

    def _new_item(self, kind: str) -> Object:
        prefix = {"message": "msg_", "function_call": "fc_", "reasoning": "rs_"}[kind]
        item: Object = {"id": prefix + secrets.token_hex(16), "type": kind, "status": "in_progress"}
        if kind == "message":
            content = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            item |= {"role": "assistant", "content": [content]}
        elif kind == "reasoning":
            item |= {"summary": [], "content": [{"type": "reasoning_text", "text": ""}]}
        return item

    # --- events ----------------------------------------------------------------------------------

    def _event(self, kind: str, **values: Any) -> Object:
        self._number += 1
        return {"type": kind, "sequence_number": self._number - 1, **values}

    def _item_event(self, kind: str, item: Object) -> Object:
        return self._event(kind, output_index=len(self._items), item=dict(item))

    def _part_event(self, kind: str) -> Object:
        part = dict(self._items[-1]["content"][0])
        return self._event(kind, **self._place(), content_index=0, part=part)

    def _delta(self, kind: str, text: str, *, part: bool = False) -> Object:
        place = {**self._place(), **({"content_index": 0} if part else {})}
        extra: Object = {"logprobs": []} if kind == "response.output_text.delta" else {}
        return self._event(kind, **place, delta=text, **extra)

    def _place(self) -> Object:
        return {"item_id": self._items[-1]["id"], "output_index": len(self._items) - 1}

    # --- the object ------------------------------------------------------------------------------

    def _finished(self) -> Object:
        is_cut = self._answer.finish_reason == "length"
        response = self._object("incomplete" if is_cut else "completed")
        if is_cut:
            response["incomplete_details"] = {"reason": "max_output_tokens"}
        if self._asked["store"]:
            self._store.keep(self._owner, [*self._history, self._message()], response)
        return response

    def _message(self) -> Object:
        """The answer as the next request's history has it."""
        calls = [
            {"id": part.id, "function": {"name": part.name, "arguments": part.arguments}}
            for part in self._answer.calls
        ]
        message: Object = {"role": "assistant", "content": self._answer.text}
        return {**message, "tool_calls": calls} if calls else message

    def _object(self, status: str) -> Object:
        is_over = status != "in_progress"
        return {
            "id": self._id,
            "object": "response",
            "created_at": self._created,
            "completed_at": int(time.time()) if status == "completed" else None,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self._model,
            "output": [dict(item) for item in self._items] if is_over else [],
            "usage": self._usage() if is_over else None,
            **self._asked,
        }

    def _usage(self) -> Object:
        counts = usage_of([self._answer], self._num_prompt_tokens, 1)
        return {
            "input_tokens": counts["prompt_tokens"],
            "input_tokens_details": counts["prompt_tokens_details"],
            "output_tokens": counts["completion_tokens"],
            "output_tokens_details": counts["completion_tokens_details"],
            "total_tokens": counts["total_tokens"],
        }


def asked_of(fields: Object, *, is_kept: bool) -> Object:
    """What a response repeats of its request."""
    text = fields.get("text") or {}
    return {
        "instructions": fields.get("instructions"),
        "max_output_tokens": fields.get("max_output_tokens"),
        "metadata": {},
        "parallel_tool_calls": fields.get("parallel_tool_calls") is not False,
        "previous_response_id": fields.get("previous_response_id"),
        "reasoning": {"effort": (fields.get("reasoning") or {}).get("effort"), "summary": None},
        "store": is_kept and fields.get("store") is not False,
        "temperature": fields.get("temperature"),
        "text": {"format": text.get("format") or {"type": "text"}},
        "tool_choice": fields.get("tool_choice") or "auto",
        "tools": fields.get("tools") or [],
        "top_p": fields.get("top_p"),
        "truncation": "disabled",
    }
