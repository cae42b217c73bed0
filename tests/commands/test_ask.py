"""`app.py ask` as scripts use it: results, progress apart from them, mistakes as one line."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app import main
from tests.documents.reader.office import CASES, zipped
from tests.documents.reader.test_pdf import encrypted
from tests.tasks.ask_world import LEAVE, MEMO, rules_pdf
from webui.storage import Documents, StorageError
from webui.tasks.ask.temporary import TemporaryLibrary

QUESTION = "年次有給休暇は何日もらえますか"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "資料"
    (folder / "下").mkdir(parents=True)
    (folder / "規程.pdf").write_bytes(rules_pdf())
    (folder / "下" / "メモ.txt").write_text(MEMO, encoding="utf-8")
    return folder


@pytest.fixture
def run(tmp_path: Path, standin: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`app.py ask <arguments>`: exit status, standard output, standard error."""
    assert standin.exists()
    (tmp_path / "models").mkdir()

    def ask(*arguments: object) -> tuple[int, str, str]:
        places = ["--data-dir", tmp_path / "data", "--models-dir", tmp_path / "models"]
        places += ["--log-level", "ERROR"]
        status = main(["ask", *map(str, arguments), *map(str, places)])
        return (status, *capsys.readouterr())

    return ask


def test_a_folder_is_answered_from_as_json(run: Run, folder: Path) -> None:
    (folder / "壊れた.pdf").write_bytes(b"%PDF-1.7 broken")
    status, out, err = run(folder, "--question", QUESTION, "--format", "json")
    result = json.loads(out)
    assert status == 0 and result["model"] and result["question"] == QUESTION
    first = result["passages"][0]
    assert (first["file"], first["page"]) == ("規程.pdf", 2) and LEAVE in first["text"]
    assert set(result["timings"]) == {"read_s", "search_s", "total_s", "time_to_first_token_s"}
    assert {"citations", "flags", "answer", "abstained", "usage"} <= set(result)
    assert "壊れた.pdf" in err and len(err.strip().splitlines()) == 1  # told, the others are read


def test_nothing_relevant_is_said_with_the_nearest_passages(run: Run, folder: Path) -> None:
    status, out, err = run(folder, "--question", "量子コンピューターの誤り訂正とは")
    assert (status, err) == (0, "")
    assert out.startswith("資料には見当たりません。\n\n**近い箇所**\n\n- [1] ")


def test_a_file_named_twice_is_read_once(run: Run, folder: Path) -> None:
    memo = folder / "下" / "メモ.txt"
    question = "会議の量子コンピューターによる誤り訂正の方式とは"
    status, out, _ = run(memo, memo, "--question", question, "--format", "json")
    assert status == 0 and json.loads(out)["num_found"] == 1


def test_nothing_of_the_files_is_kept(run: Run, folder: Path, tmp_path: Path) -> None:
    run(folder, "--question", "量子コンピューターの誤り訂正とは")
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert "有給休暇".encode() not in kept


def test_a_protected_pdf_wants_its_password(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "秘密.pdf"
    path.write_bytes(encrypted("ひらけごま"))
    status, out, err = run(path, "--question", QUESTION)
    assert (status, out) == (2, "") and "--password" in err
    status, _, err = run(path, "--question", QUESTION, "--password", "違う")
    assert status == 2 and "パスワード" in err
    question = "量子コンピューターの誤り訂正とは"
    assert run(path, "--question", question, "--password", "ひらけごま")[0] == 0


@pytest.mark.parametrize(
    ("name", "data"),
    [("無い.pdf", None), ("空.txt", b""), ("絵.pdf", b"\x89PNG" * 50), ("改行.txt", b"\n \n")],
)
def test_mistakes_are_one_line_and_exit_2(
    run: Run, tmp_path: Path, name: str, data: bytes | None
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    status, out, err = run(tmp_path / name, "--question", QUESTION)
    assert (status, out) == (2, "")
    assert len(err.strip().splitlines()) == 1 and name in err


def test_an_empty_question_folder_or_unknown_model_is_one_line(
    run: Run, tmp_path: Path, folder: Path
) -> None:
    (tmp_path / "leer").mkdir()
    for arguments in (
        (folder, "--question", "  "),
        (tmp_path / "leer", "--question", QUESTION),
        (folder, "--question", QUESTION, "--model", "no such model"),
    ):
        status, out, err = run(*arguments)
        assert (status, out) == (2, "") and len(err.strip().splitlines()) == 1


def test_a_full_temporary_disk_ends_it_with_a_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_full_disk(temporary: TemporaryLibrary) -> TemporaryLibrary:
        writer = temporary._storage._database._writer
        (num_pages,) = writer.execute("PRAGMA page_count").fetchone()
        writer.execute(f"PRAGMA max_page_count = {num_pages + 5}")
        return temporary

    monkeypatch.setattr(TemporaryLibrary, "__enter__", with_full_disk)
    path = tmp_path / "長い.txt"
    path.write_text(
        "".join(f"第{n}条 会議は{n * n}階で開く。\n" for n in range(5000)), encoding="utf-8"
    )
    status, out, err = run(path, "--question", QUESTION)
    assert (status, out) == (2, "") and "ディスク" in err


def test_a_library_that_cannot_be_made_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise StorageError("storage.disk_full")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Documents, "create_collection", no_room)
    with pytest.raises(StorageError):
        TemporaryLibrary()
    assert not list(tmp_path.iterdir())


def test_a_folder_of_many_kinds_names_what_it_leaves_out(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "資料"
    folder.mkdir()
    (folder / "売上.xlsx").write_bytes((CASES / "売上.xlsx").read_bytes())
    (folder / "道具.exe").write_bytes(b"MZ")
    (folder / "~$売上.xlsx").write_bytes(b"lock")
    (folder / "一式.zip").write_bytes(zipped({"隠れた.bin": b"MZ", "覚え.txt": "十日。".encode()}))
    status, out, err = run(folder, "--question", "仙台の売上は", "--format", "json")
    place = json.loads(out)["passages"][0]["place"]
    assert status == 0 and place["label"] == "シート「4月」!A1:B2"
    assert (place["kind"], place["name"], place["first"]) == ("cells", "4月", "A1")
    assert "道具.exe" in err and "隠れた.bin" in err and "~$" not in err
