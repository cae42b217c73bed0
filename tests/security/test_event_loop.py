"""Whatever a text looks like, others are answered meanwhile, and the work grows with its size.

20 kB of opened formulas stopped the server for 5 s, quadratically (F4). Every shape here is a
megabyte; all of them are stored, opened, searched and exported while /health is asked.
"""

import json
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.servers import serving
from tests.security.events import Events
from webui.normal_form import BREAK, normalized
from webui.storage.texts import search_key, snippet
from webui.strings import Language
from webui.tasks.chat.export import to_markdown
from webui.tasks.markdown import closed, quoted
from webui.ui.chat.markdown import MAX_DRAWN_CHARS, StreamingMarkdown, to_blocks

MEGABYTE = 1_000_000
HANG_S = 5.0  # a stop is minutes; a busy machine with two cores may be late by a second
SHAPES = {
    "formulas opened": "\\[a\n",
    "formulas opened with dollars": "$$a\n",
    "formulas in a line": "\\(a ",
    "prices": "$a ",
    "code with blank lines": "```c\n" + "\n" * 6000 + "```\n",
    "code of quotes": "```go\n" + '\\"' * 3500 + "\n```\n",
    "fences": "```\n",
    "quotes": "> ",
    "lists": "- a\n",
    "brackets": "[",
    "images": "![",
    "links": "[a](",
    "stars": "*a_ ",
    "tildes": "~~a",
    "backticks": "``a`",
    "tags": "<a ",
    "entities": "&amp",
    "paragraphs": "a\n\n",
    "tables": "|a|b|\n",
    "marks": "\u0301\u0327",
    "halfwidth marks": "ﾞ\u0301",
    "blank lines": "\n",
    "one word": "a",
}


JA = Language.JA


def exported(answers: dict[str, str]) -> dict[str, Any]:
    """An export of one conversation with these answers to these questions."""
    plain = {"reasoning": "", "status": "complete", "model_id": "", "stats": {}, "created_at": 1.0}
    messages: list[dict[str, Any]] = []
    for question, answer in answers.items():
        for role, content in (("user", question), ("assistant", answer)):
            place = {"id": len(messages) + 1, "parent": len(messages) or None}
            messages.append({**plain, **place, "role": role, "content": content})
    conversation = {"title": "", "title_is_auto": True, "system_prompt": "", "sampling": {}}
    conversation |= {"model_id": "", "created_at": 1.0, "updated_at": 1.0}
    return {
        "kajogaki": 1,
        "conversations": [{**conversation, "leaf": len(messages), "messages": messages}],
    }


def shaped(shape: str, num_chars: int) -> str:
    return ("a" + shape * (num_chars // len(shape) + 1))[:num_chars]


def num_calls(work: Callable[[], object]) -> int:
    """Functions called, of Python and of C: work that no busy machine makes longer."""
    count = 0

    def on_event(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(on_event)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_drawing_takes_work_in_proportion_to_the_text(shape: str) -> None:
    to_blocks(shape * 3)  # what is made once
    small, large = (num_calls(lambda n=n: to_blocks(shaped(shape, n))) for n in (1_500, 6_000))  # type: ignore[misc]
    assert large <= 4 * 1.6 * small + 20_000  # four times the text


@pytest.mark.parametrize("shape", ["\\[a\n", "$$a\n", "a\n\n", "- a\n"])
def test_drawing_while_it_comes_does_too(shape: str) -> None:
    def stream(num_chars: int) -> None:
        text, drawn = shaped(shape, num_chars), StreamingMarkdown()
        for end in range(0, num_chars, num_chars // 4):
            drawn.blocks(text[:end])

    stream(20)
    small, large = (num_calls(lambda n=n: stream(n)) for n in (1_500, 6_000))  # type: ignore[misc]
    assert large <= 4 * 1.6 * small + 20_000


def test_a_long_text_is_formatted_to_a_limit_and_shown_whole() -> None:
    text = "**太い**文です。\n\n" * 20_000 + "終わり<b>"
    blocks = to_blocks(text)
    assert blocks[0] == "<p><strong>太い</strong>文です。</p>\n"
    formatted, _, plain = "".join(blocks).partition('<p class="plain">')
    assert plain.endswith("終わり&lt;b&gt;</p>") and "<strong>" not in plain
    assert formatted.count("<strong>太い</strong>") + plain.count("**太い**") == 20_000


def test_a_growing_text_stays_whole_when_it_passes_the_limit() -> None:
    text = "".join(f"{number}。\n\n" for number in range(MAX_DRAWN_CHARS // 5))
    drawn = StreamingMarkdown()
    for end in range(1000, len(text), 7_919):
        shown = "".join(drawn.blocks(text[:end]))
        for number in range(0, text[:end].count("\n\n"), 97):
            assert shown.count(f">{number}。") + shown.count(f"\n{number}。") == 1


def test_highlighting_ends_when_its_time_is_over() -> None:
    assert "<span" in to_blocks("```c\nint main() {}\n```")[0].partition("<code>")[2]
    slow = "```c\n" + "\n" * 7_900 + "```\n"
    began = time.thread_time()
    blocks = to_blocks(slow * 7 + "```c\nint main() {}\n```")
    assert time.thread_time() - began < 5  # seven times 2 s before
    assert "int main() {}" in blocks[-1]
    unknown = to_blocks("```autoit\n" + " " * 7_000 + "```\n")[0]
    assert "<span" not in unknown.partition("<code>")[2]


def test_marks_in_a_row_are_normalised_in_pieces() -> None:
    """One call of Python's, which sorts them by insertion, held everything up for minutes."""
    for text in ("が", "が" * 100, "a\u0301\u0327é", "ｶﾞ", "a" + "\u0327\u0301" * 15):
        assert normalized(text) == unicodedata.normalize("NFKC", text)
    many = "a" + "\u0327\u0301" * 100
    assert normalized(many).replace(BREAK, "") != "" and BREAK in normalized(many)
    assert normalized(normalized(many)) == normalized(many)
    key = search_key("x" + many * 3 + "鍵")
    assert search_key("鍵") in key
    assert snippet("x" + many * 300 + "鍵", search_key("x" + many * 300 + "鍵"), search_key("鍵"))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_exporting_takes_work_in_proportion_to_the_text(shape: str) -> None:
    def export(num_chars: int) -> None:
        text = shaped(shape, num_chars)
        to_markdown(exported({"x": text}), JA)
        quoted(closed(text))

    small, large = (num_calls(lambda n=n: export(n)) for n in (1_500, 6_000))  # type: ignore[misc]
    assert large <= 4 * 1.6 * small + 5_000


@contextmanager
def asked_for_health(url: str) -> Iterator[list[float]]:
    """How long /health took, asked again and again meanwhile."""
    took: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=120) as client:
            while not over.is_set():
                began = time.perf_counter()
                assert client.get("/health").status_code == 200
                took.append(time.perf_counter() - began)
                over.wait(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join()


def test_others_are_answered_while_a_megabyte_of_each_shape_is_drawn(
    standin: Path, tmp_path: Path
) -> None:
    """Every second shape: all of them take twenty seconds."""
    shapes = dict(list(SHAPES.items())[::2])
    data = json.dumps(exported({name: shaped(s, MEGABYTE) for name, s in shapes.items()}))
    with serving(tmp_path) as server, httpx.Client(base_url=server.url, timeout=300) as http:
        http.get("/")
        with asked_for_health(server.url) as took:
            imported = http.post("/import", content=data)
            assert imported.status_code == 200, imported.text[:300]
            (chat,) = imported.json()["conversations"]
            events = Events(http)
            opened = events.call("on_open", {"conversation": chat, "turns": 100})
            assert opened.status_code == 200, opened.text[:300]
            shown = opened.json()["data"][0]["messages"]
            assert [len(one["text"]) for one in shown if one["role"] == "assistant"] == (
                [MEGABYTE] * len(shapes)
            )
            assert events.call("on_search", {"query": "aaaa"}).status_code == 200
            for kind in ("md", "json"):
                assert len(http.get(f"/export/{chat}.{kind}").content) > len(shapes) * MEGABYTE
        assert len(took) > 20 and max(took) < HANG_S, f"{max(took):.2f} s"
