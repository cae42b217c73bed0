"""One library and one worker for all tests that ask about documents."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tasks.ask_world import MEMO, World, rules_pdf, shelf, world


@pytest.fixture(scope="package")
def desk(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    assert standin.exists()
    with shelf(tmp_path_factory.mktemp("ask")) as made:
        made.add("規程.pdf", rules_pdf())
        made.add("メモ.txt", MEMO.encode())
        with world(made) as running:
            yield running
