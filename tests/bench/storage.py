"""What storage costs: milliseconds per call, and of a search through 20,000 messages.

    python -m tests.bench.storage [NUM_CONVERSATIONS] [NUM_MESSAGES_EACH]

Messages as in a Japanese chat: questions of 80 characters, answers of 600. One JSON line last.
"""

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from webui.storage import Role, Storage

OWNER = "bench"
KANA = "".join(map(chr, [*range(0x3042, 0x3094), *range(0x30A2, 0x30F4)]))
KANJI = "".join(map(chr, range(0x5000, 0x5600)))
LETTERS = KANA + KANJI + "、。（）！abcdefg "
NEVER_WRITTEN = "薔薇"  # the slowest search reads everything and finds nothing


def words(num_chars: int) -> str:
    return "".join(random.choices(LETTERS, k=num_chars))


def conversation(number: int, num_messages: int) -> dict[str, Any]:
    return {
        "title": words(12),
        "title_is_auto": True,
        "system_prompt": "",
        "sampling": {},
        "model_id": "",
        "created_at": 0.0,
        "updated_at": float(number),
        "leaf": num_messages,
        "messages": [
            {
                "id": position,
                "parent": position - 1 or None,
                "role": "user" if position % 2 else "assistant",
                "content": words(80 if position % 2 else 600),
                "reasoning": "",
                "status": "complete",
                "model_id": "",
                "stats": {},
                "created_at": 0.0,
            }
            for position in range(1, num_messages + 1)
        ],
    }


def median_ms(call: Callable[[], object], num_calls: int) -> float:
    times = []
    for _ in range(num_calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return round(statistics.median(times) * 1000, 3)


def measure(storage: Storage, ids: list[str]) -> dict[str, float]:
    leaves = {id: storage.conversation(OWNER, id).leaf_id for id in ids}

    def add() -> None:
        id = random.choice(ids)
        added = storage.add_message(OWNER, id, Role.USER, words(80), parent_id=leaves[id])
        leaves[id] = added.id

    def rewrite() -> None:
        leaf_id = leaves[random.choice(ids)]
        assert leaf_id is not None
        storage.update_message(OWNER, leaf_id, content=words(600))

    return {
        "list_ms": median_ms(lambda: storage.conversations(OWNER), 50),
        "path_ms": median_ms(lambda: storage.path(OWNER, random.choice(ids)), 50),
        "add_ms": median_ms(add, 300),
        "update_ms": median_ms(rewrite, 300),
        "search_1_char_ms": median_ms(lambda: storage.conversations(OWNER, NEVER_WRITTEN[0]), 9),
        "search_2_chars_ms": median_ms(lambda: storage.conversations(OWNER, NEVER_WRITTEN), 9),
        "search_4_chars_ms": median_ms(lambda: storage.conversations(OWNER, NEVER_WRITTEN * 2), 9),
        "search_200_hits_ms": median_ms(lambda: storage.conversations(OWNER, "あ"), 9),
    }


def main(num_conversations: int, num_messages: int) -> dict[str, float]:
    random.seed(1)
    data = {
        "kajogaki": 1,
        "conversations": [conversation(n, num_messages) for n in range(num_conversations)],
    }
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(Path(folder) / "kajogaki.db")
        start = time.perf_counter()
        ids = storage.import_conversations(OWNER, data)
        import_s = time.perf_counter() - start
        figures = measure(storage, ids)
        storage.close()
    return {
        "num_messages": num_conversations * num_messages,
        "import_s": round(import_s, 2),
        **figures,
    }


if __name__ == "__main__":
    print(json.dumps(main(*[int(argument) for argument in sys.argv[1:]] or [1000, 20])))
