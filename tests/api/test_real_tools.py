"""Tools on real weights: the right function with the right arguments, in every manner of asking.

Needs qwen2.5-coder-1.5b-instruct-q4_k_m.gguf in the folder that KAJOGAKI_REAL_MODELS names.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.api.calls import CASES, TOOLS
from tests.api.servers import serving

MODEL = "qwen2.5-coder-1.5b-instruct-q4_k_m"
FOLDER = os.environ.get("KAJOGAKI_REAL_MODELS", "")
LEAST_RIGHT = 45  # of the fifty
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not (Path(FOLDER) / f"{MODEL}.gguf").is_file(),
        reason=f"KAJOGAKI_REAL_MODELS names no folder with {MODEL}.gguf",
    ),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    folder = tmp_path_factory.mktemp("real")
    (folder / "models").mkdir()
    name = f"{MODEL}.gguf"
    (folder / "models" / name).symlink_to(Path(FOLDER) / name)
    with serving(folder) as server:
        yield server.client()


def called(client: openai.OpenAI, question: str, number: int) -> tuple[str, dict[str, Any]]:
    """The first call of the answer: whole, required, or out of a stream, by turns."""
    asked: Any = {
        "model": MODEL,
        "messages": [{"role": "user", "content": question}],
        "tools": TOOLS,
        "max_tokens": 150,
        "temperature": 0,
        "parallel_tool_calls": False,
        "tool_choice": "required" if number % 3 == 1 else "auto",
    }
    if number % 3 == 2:
        with client.chat.completions.stream(**asked) as events:
            message = events.get_final_completion().choices[0].message
    else:
        message = client.chat.completions.create(**asked).choices[0].message
    if not message.tool_calls:
        return message.content or "", {}
    function = message.tool_calls[0].function
    return function.name, json.loads(function.arguments)


def test_nine_of_ten_questions_are_answered_by_the_right_call(client: openai.OpenAI) -> None:
    wrong = []
    for number, (question, name, arguments) in enumerate(CASES):
        told, given = called(client, question, number)
        if told != name or any(given.get(key) != value for key, value in arguments.items()):
            wrong.append((question, told, given))
    assert len(CASES) - len(wrong) >= LEAST_RIGHT, wrong
