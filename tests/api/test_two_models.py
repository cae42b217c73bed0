"""Two models over /v1 with the official client: that fit together, and that do not."""

import concurrent.futures
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.api.servers import Server, serving

ONE_MODEL_GB = 0.08  # the stand-in needs a bit less
MODELS = ("one", "two")
pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("memory_gb", [ONE_MODEL_GB, 4 * ONE_MODEL_GB])
def test_requests_for_two_models_at_once_are_all_answered(
    standin: Path, tmp_path: Path, memory_gb: float
) -> None:
    (tmp_path / "models").mkdir()
    for name in MODELS:
        shutil.copy(standin, tmp_path / "models" / f"{name}.gguf")
    with serving(tmp_path, "--memory-gb", str(memory_gb), "--n-ctx", "1024") as server:
        with concurrent.futures.ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda i: ask(server, MODELS[i % 2], i > 3), range(6)))
    assert [model for model, _ in answers] == [*MODELS] * 3
    assert all(text for _, text in answers)


def ask(server: Server, model: str, stream: bool) -> tuple[str, str]:
    """The model that answered, and what."""
    options: dict[str, Any] = {"model": model, "max_tokens": 20, "temperature": 0}
    options["messages"] = [{"role": "user", "content": "こんにちは"}]
    with server.client() as client:
        if not stream:
            whole = client.chat.completions.create(**options)
            return whole.model, whole.choices[0].message.content or ""
        chunks = list(client.chat.completions.create(**options, stream=True))
        return chunks[0].model, "".join(c.choices[0].delta.content or "" for c in chunks)
