"""One server for all API tests that need nothing special of it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.servers import Server, serving


@pytest.fixture(scope="session")
def server(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("api"), "--n-slots", "8") as running:
        yield running


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client
