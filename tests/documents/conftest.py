"""One tiny embedding model and one process that has loaded it, for all tests of documents."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.makemodel import static_model
from webui.documents.search.embedder_process import EmbedderProcess


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return static_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def tiny_process(tiny_model: Path) -> Iterator[EmbedderProcess]:
    process = EmbedderProcess(tiny_model, num_threads=1)
    yield process
    process.stop()
