"""Catalog: what a user drops into the models folder appears, good or bad, and nothing breaks."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.builtin import standin as script
from tests import rawgguf as raw
from tests.places import ROOT
from webui.models import FILE_TYPES, Catalog, ModelSpec, UnknownModelError


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def builtin_dir(tmp_path: Path) -> Path:
    """The script alone, as in a fresh checkout."""
    folder = tmp_path / "builtin"
    folder.mkdir()
    shutil.copy(script.__file__, folder)
    return folder


@pytest.fixture
def catalog(models_dir: Path, builtin_dir: Path) -> Catalog:
    return Catalog(models_dir, builtin_dir)


def own_models(catalog: Catalog) -> list[ModelSpec]:
    return [spec for spec in catalog.models() if not spec.is_standin]


def only(catalog: Catalog) -> ModelSpec:
    (spec,) = own_models(catalog)
    return spec


def test_a_model_is_listed_with_what_its_header_says(
    catalog: Catalog, models_dir: Path, standin: Path
) -> None:
    shutil.copy(standin, models_dir / "My Model.gguf")
    spec = only(catalog)
    assert (spec.id, spec.name) == ("My Model", "My Model F32")
    assert spec.formal_name == "Kajogaki stand-in"
    assert (spec.architecture, spec.quantization, spec.n_ctx_train) == ("llama", "F32", 8192)
    assert spec.chat_template == script.CHAT_TEMPLATE
    assert spec.n_params > 1_000_000
    assert spec.size_bytes == standin.stat().st_size
    assert spec.error is None and spec.problem == "" and not spec.is_standin
    assert catalog.get("My Model") == spec


def test_languages_are_those_that_the_file_states(catalog: Catalog, models_dir: Path) -> None:
    stated = raw.array("general.languages", raw.STRING, 2, raw.text("ja") + raw.text("e\nn"))
    (models_dir / "a.gguf").write_bytes(raw.model(stated))
    assert only(catalog).languages == ("ja", "e n")


def test_files_that_are_no_models_are_not_listed(catalog: Catalog, models_dir: Path) -> None:
    for name in (".hidden.gguf", "a.gguf.part", "mmproj-a.gguf", "readme.txt", "a.safetensors"):
        (models_dir / name).write_bytes(raw.model())
    (models_dir / "folder.gguf").mkdir()
    (models_dir / "vision.gguf").write_bytes(raw.file([raw.string("general.architecture", "clip")]))
    assert own_models(catalog) == []


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"", "gguf_not_gguf"),
        (raw.model(num_data_bytes=10), "gguf_truncated"),
        (raw.file(n_tensors=1 << 60), "gguf_damaged"),
        (raw.file([raw.string("general.architecture", "llama")]), "no_weights"),
        (raw.file([], [raw.tensor("a", [8])], num_data_bytes=32), "no_architecture"),
        (raw.model(raw.string("general.type", "adapter")), "not_a_model"),
        (raw.model(raw.u32("split.count", 3)), "part_renamed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_file_is_listed_with_its_reason(
    catalog: Catalog, models_dir: Path, content: bytes, key: str
) -> None:
    (models_dir / "bad.gguf").write_bytes(content)
    spec = only(catalog)
    assert spec.error is not None and spec.error.key == f"catalog.{key}"
    assert "bad.gguf" in spec.problem
    assert catalog.default().is_standin


def test_links_are_followed_and_broken_ones_said(
    catalog: Catalog, models_dir: Path, standin: Path
) -> None:
    (models_dir / "good.gguf").symlink_to(standin)
    (models_dir / "lost.gguf").symlink_to(models_dir / "nowhere")
    (models_dir / "loop.gguf").symlink_to(models_dir / "loop.gguf")
    specs = {spec.id: spec for spec in own_models(catalog)}
    assert specs["good"].error is None
    for name in ("lost", "loop"):
        error = specs[name].error
        assert error is not None and error.key == "catalog.gguf_unreadable"


def test_models_in_folders_are_listed_once_each(
    catalog: Catalog, models_dir: Path, standin: Path, tmp_path: Path
) -> None:
    """As LM Studio keeps them (maker/model/file), with links to others and in a circle."""
    deep = models_dir / "maker" / "model"
    deep.mkdir(parents=True)
    shutil.copy(standin, deep / "deep.gguf")
    shutil.copy(standin, tmp_path / "elsewhere.gguf")
    (models_dir / "linked.gguf").symlink_to(deep / "deep.gguf")
    (models_dir / "maker" / "again").symlink_to(deep)
    (deep / "circle").symlink_to(models_dir)
    (deep / "outside.gguf").symlink_to(tmp_path / "elsewhere.gguf")
    (models_dir / ".hidden").mkdir()
    shutil.copy(standin, models_dir / ".hidden" / "no.gguf")
    found = {spec.id: spec.error for spec in own_models(catalog)}
    assert found == {"linked": None, "outside": None}
    assert catalog.get("maker/model/Linked.GGUF").id == "linked"


def test_a_near_name_of_two_models_is_unknown(
    catalog: Catalog, models_dir: Path, standin: Path
) -> None:
    for name in ("a.gguf", "A.gguf"):
        shutil.copy(standin, models_dir / name)
    assert catalog.get("A").path.name == "A.gguf"
    with pytest.raises(UnknownModelError, match="a, A|A, a"):
        catalog.get("b")


def test_a_split_model_is_one_entry_with_the_sum_of_its_parts(
    catalog: Catalog, models_dir: Path
) -> None:
    content = raw.model(raw.u32("split.count", 3))
    for part in (1, 2, 3):
        (models_dir / f"big-{part:05}-of-00003.gguf").write_bytes(content)
    spec = only(catalog)
    assert (spec.id, spec.error) == ("big", None)
    assert spec.n_params == 3 * 64
    assert spec.size_bytes == 3 * len(content)
    (models_dir / "big-00002-of-00003.gguf").unlink()
    assert "big-00002-of-00003.gguf" in only(catalog).problem


def test_a_file_is_read_again_when_it_has_changed(catalog: Catalog, models_dir: Path) -> None:
    path = models_dir / "growing.gguf"
    path.write_bytes(raw.model()[:100])
    assert only(catalog).error is not None
    path.write_bytes(raw.model())
    assert only(catalog).error is None
    path.unlink()
    assert own_models(catalog) == []
    with pytest.raises(UnknownModelError, match="growing"):
        catalog.get("growing")


def test_ids_and_shown_names_are_unique(catalog: Catalog, models_dir: Path) -> None:
    same = raw.model(raw.string("general.name", "Same"))
    for name in ("a.gguf", "a.GGUF", "standin.gguf"):
        (models_dir / name).write_bytes(same)
    assert catalog.get("standin").is_standin
    specs = catalog.models()
    assert len({spec.id for spec in specs}) == 4
    assert len({spec.name for spec in specs}) == 4


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", "qwen2.5-coder-1.5b-instruct Q4_K_M"),
        ("SmolLM2-135M-Instruct.Q4_K_M.gguf", "SmolLM2-135M-Instruct Q4_K_M"),
        ("plain.gguf", "plain Q4_K_M"),
        ("Q4_K_M.gguf", "Q4_K_M Q4_K_M"),
        ("LFM2.5-1.2B-JP-202606-Q4_K_M.gguf", "LFM2.5-1.2B-JP-202606 Q4_K_M"),
    ],
)
def test_a_model_is_called_by_its_file_not_by_what_its_header_claims(
    catalog: Catalog, models_dir: Path, file: str, expected: str
) -> None:
    stated = raw.string("general.name", "Mix1 Ep2 AWQ")
    (models_dir / file).write_bytes(raw.model(stated, raw.u32("general.file_type", 15)))
    assert only(catalog).name == expected


def test_no_two_files_are_called_alike(catalog: Catalog, models_dir: Path) -> None:
    for name in ("a-Q4_K_M.gguf", "a.gguf", "A.q4_k_m.gguf", "b.gguf"):
        (models_dir / name).write_bytes(raw.model(raw.u32("general.file_type", 15)))
    names = [spec.name for spec in own_models(catalog)]
    assert len({name.casefold() for name in names}) == 4
    assert "b Q4_K_M" in names


def test_names_are_one_short_printable_line(catalog: Catalog, models_dir: Path) -> None:
    hostile = "a\u202eb\n<script>\0\ud800".encode(errors="surrogatepass") + b"x" * 1000
    path = os.fsencode(models_dir / "n\u202e") + b"\xff\n.gguf"
    Path(os.fsdecode(path)).write_bytes(raw.model(raw.string("general.name", hostile)))
    spec = only(catalog)
    for shown in (spec.id, spec.name):
        assert shown.isprintable() and 0 < len(shown) <= 80
        shown.encode()


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([raw.u32("general.file_type", 15)], "Q4_K_M"),
        ([raw.u32("general.file_type", 999)], "F32"),
        ([raw.string("general.file_type", "x")], "F32"),
        ([], "F32"),
    ],
)
def test_quantization_is_the_stated_one_else_the_weights_own(
    catalog: Catalog, models_dir: Path, entries: list[raw.Entry], expected: str
) -> None:
    (models_dir / "a.gguf").write_bytes(raw.model(*entries))
    assert only(catalog).quantization == expected


def test_file_types_are_those_of_llama_cpp() -> None:
    import llama_cpp

    prefix = "LLAMA_FTYPE_"
    theirs = {
        getattr(llama_cpp, name): name.removeprefix(prefix)
        .removeprefix("ALL_")
        .removeprefix("MOSTLY_")
        for name in dir(llama_cpp)
        if name.startswith(prefix) and not name.endswith("GUESSED")
    }
    assert theirs == FILE_TYPES


def test_the_default_is_the_largest_chat_model_and_the_standin_only_without_one(
    catalog: Catalog, models_dir: Path, standin: Path
) -> None:
    assert catalog.default().is_standin
    (models_dir / "base.gguf").write_bytes(raw.model())
    assert catalog.default().id == "base"
    small = raw.model(raw.string("tokenizer.chat_template", "{{ messages }}"))
    (models_dir / "chat.gguf").write_bytes(small)
    assert catalog.default().id == "chat"
    shutil.copy(standin, models_dir / "large.gguf")
    assert catalog.default().id == "large"


def test_a_model_larger_than_the_memory_is_no_default(catalog: Catalog, models_dir: Path) -> None:
    huge = 1 << 40
    tensors = [raw.tensor("a", [huge], kind=24)]
    content = raw.file([raw.string("general.architecture", "llama")], tensors)
    (models_dir / "huge.gguf").write_bytes(content)
    os.truncate(models_dir / "huge.gguf", len(content) + huge)  # sparse: takes no room
    (models_dir / "small.gguf").write_bytes(raw.model())
    assert all(spec.error is None for spec in own_models(catalog))
    assert catalog.default().id == "small"


def test_the_standin_is_made_when_it_is_needed(catalog: Catalog, builtin_dir: Path) -> None:
    spec = catalog.default()
    assert (spec.id, spec.is_standin, spec.error) == ("standin", True, None)
    assert spec.path == builtin_dir / "standin.gguf"
    assert spec.path.exists()
    assert [entry.id for entry in catalog.models()] == ["standin"]


def test_an_older_standin_is_made_again(catalog: Catalog, builtin_dir: Path) -> None:
    path = builtin_dir / "standin.gguf"
    path.write_bytes(b"of an older version")
    os.utime(path, (0, 0))
    assert catalog.default().error is None


def test_a_standin_that_cannot_be_made_says_so(catalog: Catalog, builtin_dir: Path) -> None:
    tries = builtin_dir / "tries"
    program = f"open({str(tries)!r}, 'a').write('one ')\nraise OSError('the disk is full')"
    (builtin_dir / "standin.py").write_text(program, "utf-8")
    assert "the disk is full" in catalog.default().problem
    for _ in range(10):  # not one process each
        assert catalog.models()[0].problem
    assert tries.read_text("utf-8") == "one "


def test_a_folder_that_does_not_exist_has_no_models(tmp_path: Path, builtin_dir: Path) -> None:
    assert Catalog(tmp_path / "nowhere", builtin_dir).default().is_standin


def test_listing_models_loads_neither_numpy_nor_gguf() -> None:
    """They would cost the web process 30 MB and half its start time."""
    code = "import sys, webui.models; sys.exit(bool({'numpy', 'gguf'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
