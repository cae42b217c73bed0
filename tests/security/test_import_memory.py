"""A file to import cannot make the server grow by more than it is worth (F11)."""

import json
from pathlib import Path

import httpx
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.servers import serving
from webui.storage.json_size import has_more_values

MEGABYTE = 1 << 20
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def num_values(value: object) -> int:
    """As the reader counts: an element or entry each, and a container once more."""
    if isinstance(value, dict):
        return max(1, len(value)) + sum(map(num_values, value.values()))
    if isinstance(value, list):
        return max(1, len(value)) + sum(map(num_values, value))
    return 0


@given(JSON, st.booleans())
def test_values_are_counted_and_what_stands_in_texts_is_not(value: object, ascii_: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_).encode("utf-8", "replace")
    count = num_values(value)
    assert not has_more_values(data, count)
    assert count == 0 or has_more_values(data, count - 1)


@pytest.mark.parametrize(
    "data",
    [b'"', b'"\\', b'{"a', b'"' * 1_000_001, b'"\\"' * 300_000, b'"' + b'\\"' * 500_000, b""],
)
def test_what_is_no_json_is_counted_in_no_time(data: bytes) -> None:
    assert not has_more_values(data, 10)


FLOODS = (b"{}," * 3_000_000, b'"",' * 3_000_000, b'"a":[],' * 1_500_000)


def test_a_flood_of_values_is_refused_before_it_takes_memory(standin: Path, tmp_path: Path) -> None:
    """45 MB of `{},` made the process grow from .26 to 1.35 GB."""
    with serving(tmp_path) as server:
        before = psutil.Process(server.process.pid).memory_info().rss
        for flood in FLOODS:
            data = b'{"kajogaki":1,"conversations":[' + flood
            answer = httpx.post(f"{server.url}/import", content=data, timeout=120)
            assert answer.status_code == 422, answer.text
            assert "大きすぎ" in answer.text
        grown = peak_rss(server.process.pid) - before
        assert grown < 120 * MEGABYTE, f"{grown / MEGABYTE:.0f} MB"


def peak_rss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    pytest.skip("the peak is told by Linux only")
