"""The GGUF header reader: sound files give their facts, all others one clear sentence."""

import ctypes
import os
import struct
from pathlib import Path

import llama_cpp
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import rawgguf as raw
from tests.budget import examples
from tests.places import ROOT
from webui.models.gguf import TENSOR_TYPES, BadGgufError, GgufHeader, read_header
from webui.strings import Language

HUGE = (1 << 64) - 1
# Real vocabularies, where a checkout of the shared data stands beside the repository.
VOCABULARIES = sorted((ROOT.parent / "shared" / "data" / "vocab").glob("*.gguf"))
EVERY_TYPE = [
    *((f"number.{kind}", struct.pack("<I", kind) + bytes(8)[:size]) for kind, size in
      ((0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (6, 4), (7, 1), (10, 8), (11, 8), (12, 8))),
    raw.string("text", "日本語"),
    raw.array("short", raw.U32, 3, struct.pack("<3I", 1, 2, 3)),
    raw.array("long", raw.STRING, 300, raw.text("piece") * 300),
    raw.array("scores", raw.F32, 300, bytes(1200)),
]  # fmt: skip


def read(tmp_path: Path, content: bytes) -> GgufHeader:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    return read_header(path)


def key_of_error(tmp_path: Path, content: bytes) -> str:
    with pytest.raises(BadGgufError) as caught:
        read(tmp_path, content)
    assert "model.gguf" in caught.value.message(Language.JA)
    assert "model.gguf" in caught.value.message(Language.EN)
    return caught.value.key


def test_the_standin_is_read_as_it_was_written(standin: Path) -> None:
    header = read_header(standin)
    assert header.version == 3
    assert header.string("general.name") == "Kajogaki stand-in"
    assert header.integer("llama.context_length") == 8192
    assert header.array_lengths["tokenizer.ggml.tokens"] > 4000
    assert "tokenizer.ggml.tokens" not in header.metadata
    assert "<|im_start|>" in header.string("tokenizer.chat_template")
    assert header.weight_type == "F32"
    assert 4 * header.n_params < standin.stat().st_size < 4 * header.n_params + 500_000


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    header = read(tmp_path, raw.model(*EVERY_TYPE))
    assert header.metadata["number.7"] is False
    assert header.metadata["number.12"] == 0.0
    assert header.metadata["text"] == "日本語"
    assert header.metadata["short"] == (1, 2, 3)
    assert header.array_lengths == {"short": 3, "long": 300, "scores": 300}
    assert (header.n_tensors, header.n_params) == (2, 64)
    assert header.string("number.7") == "" and header.integer("number.7") == 0


@pytest.mark.parametrize("path", VOCABULARIES, ids=lambda path: str(path.stem))
def test_real_vocabularies_are_read(path: Path) -> None:
    header = read_header(path)
    assert header.string("general.architecture")
    assert header.array_lengths["tokenizer.ggml.tokens"] >= 32_000


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"", "not_gguf"),
        (b"GG", "not_gguf"),
        (b"<!DOCTYPE html><html>404</html>", "not_gguf"),
        (raw.file(magic=b"ggjt"), "not_gguf"),
        (b"GGUF", "truncated"),
        (raw.file(version=1), "version"),
        (raw.file(version=4), "version"),
        (raw.file(version=0), "version"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big_endian"),
        (raw.file(n_tensors=HUGE), "damaged"),
        (raw.file(n_entries=HUGE), "damaged"),
        (raw.file(n_entries=1 << 15), "truncated"),
        (raw.file([(chr(0xE9) * 40_000, b"")]), "damaged"),
        (raw.model(("k", struct.pack("<IQ", raw.STRING, HUGE))), "damaged"),
        (raw.model(("k", struct.pack("<IQ", raw.STRING, 1 << 20))), "truncated"),
        (raw.model(("k", struct.pack("<I", 13))), "damaged"),
        (raw.model(("k", struct.pack("<IB", raw.BOOL, 2))), "damaged"),
        (raw.model(raw.array("k", raw.U32, HUGE, b"")), "damaged"),
        (raw.model(raw.array("k", raw.U32, 1 << 20, b"")), "truncated"),
        (raw.model(raw.array("k", raw.STRING, 1 << 20, b"")), "damaged"),
        (raw.model(raw.array("k", raw.ARRAY, 300, b"")), "damaged"),
        (raw.model(raw.u32("k", 1), raw.u32("k", 2)), "damaged"),
        (raw.model(raw.u32("general.alignment", 0)), "damaged"),
        (raw.model(raw.u32("general.alignment", 48)), "damaged"),
        (raw.model(raw.u32("general.alignment", 1 << 31)), "damaged"),
        (raw.model(raw.string("general.alignment", "32")), "damaged"),
        (raw.model(num_data_bytes=255), "truncated"),
        (raw.file([], [raw.tensor("a", [])]), "damaged"),
        (raw.file([], [raw.tensor("a", [1] * 5)]), "damaged"),
        (raw.file([], [raw.tensor("a", [0])]), "damaged"),
        (raw.file([], [raw.tensor("a", [HUGE])]), "damaged"),
        (raw.file([], [raw.tensor("a", [1 << 32] * 4)]), "damaged"),
        (raw.file([], [raw.tensor("a", [1 << 40])]), "truncated"),
        (raw.file([], [raw.tensor("a", [33], kind=2)]), "damaged"),
        (raw.file([], [raw.tensor("a", [32], kind=4)]), "unknown_type"),
        (raw.file([], [raw.tensor("a", [32], kind=1000)]), "unknown_type"),
        (raw.file([], [raw.tensor("a", [32], offset=4)], num_data_bytes=999), "damaged"),
        (raw.file([], [raw.tensor("a", [32], offset=1 << 62)], num_data_bytes=999), "damaged"),
        (raw.file([], [raw.tensor("a", [32])] * 2, num_data_bytes=999), "damaged"),
        (raw.file([], [raw.tensor("a", [32]), raw.tensor("b", [32])], num_data_bytes=999),
         "damaged"),
        (raw.file([], [raw.tensor("a" * 64, [32])], num_data_bytes=999), "damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, content: bytes, key: str) -> None:
    assert key_of_error(tmp_path, content) == f"catalog.gguf_{key}"


def test_the_number_of_missing_bytes_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadGgufError, match=r"\(at least 1,000 bytes are missing\)"):
        read(tmp_path, raw.file([], [raw.tensor("a", [500])], num_data_bytes=1000))


def test_a_download_that_stopped_is_called_cut_short(tmp_path: Path, standin: Path) -> None:
    content = standin.read_bytes()
    for length in [*range(4, 320), 1000, 20_000, 90_000, 5_000_000, len(content) - 1]:
        assert key_of_error(tmp_path, content[:length]) == "catalog.gguf_truncated", length


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    (tmp_path / "folder.gguf").mkdir()
    (tmp_path / "dangling.gguf").symlink_to(tmp_path / "nowhere")
    for name in ("pipe", "folder", "dangling", "missing", "nul\0"):
        with pytest.raises(BadGgufError):
            read_header(tmp_path / f"{name}.gguf")


def test_a_huge_header_ends_early(tmp_path: Path) -> None:
    """Strings of the longest allowed length, in a sparse file that has room for all of them."""
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([raw.array("k", raw.STRING, 1 << 22, b"")]))
    with path.open("r+b") as file:
        for position in range(24 + 9 + 16, 1 << 30, (1 << 23) + 8):
            file.seek(position)
            file.write(struct.pack("<Q", 1 << 23))
        file.truncate(1 << 40)
    with pytest.raises(BadGgufError) as caught:
        read_header(path)
    assert "header of more than" in caught.value.message(Language.EN)


def test_sizes_of_weights_are_those_of_llama_cpp() -> None:
    (library, *_) = (Path(llama_cpp.__file__).parent / "lib").glob("*ggml-base.*")
    ggml = ctypes.CDLL(str(library))
    ggml.ggml_type_name.restype = ctypes.c_char_p
    ggml.ggml_type_size.restype = ctypes.c_size_t
    ggml.ggml_blck_size.restype = ctypes.c_int64
    theirs = {
        kind: (ggml.ggml_type_name(kind).decode().upper(), ggml.ggml_blck_size(kind), size)
        for kind in range(llama_cpp.GGML_TYPE_COUNT)
        if (size := ggml.ggml_type_size(kind))
    }
    assert theirs == TENSOR_TYPES


OFFSETS = st.integers(0, 800) | st.integers(-2000, -1)  # the ends, where the structure is
NUMBERS = st.sampled_from([0, 1, 8, 9, 255, 1 << 16, 1 << 22, 1 << 31, 1 << 62, 1 << 63, HUGE])
PATCHES = st.lists(
    st.tuples(
        OFFSETS | st.integers(0, 200_000),
        NUMBERS.map(lambda number: struct.pack("<Q", number)) | st.binary(min_size=1, max_size=9),
        st.integers(0, 12),
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def headers(standin: Path) -> list[bytes]:
    """Headers to damage: a tiny one with every kind of value, and the stand-in's."""
    content = standin.read_bytes()
    size = content.rindex(b"ffn_down.weight") + 60
    return [raw.model(*EVERY_TYPE), content[:size]]


@settings(
    max_examples=examples(500),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(which=st.integers(0, 1), patches=PATCHES)
@example(which=0, patches=[(8, struct.pack("<Q", HUGE), 8)])
def test_any_damage_is_refused_or_harmless(
    tmp_path: Path, headers: list[bytes], which: int, patches: list[tuple[int, bytes, int]]
) -> None:
    """Bytes overwritten, inserted and removed: a header or BadGgufError, soon; nothing else."""
    content = headers[which]
    for offset, new, num_removed in patches:
        position = offset % len(content)
        content = content[:position] + new + content[position + num_removed :]
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    os.truncate(path, len(content) + 6_000_000)  # the weights, sparse
    try:
        header = read_header(path)
    except BadGgufError as error:
        assert error.message(Language.JA) and error.message(Language.EN)
    else:
        assert header.n_params >= 0 and header.version in (2, 3)
