"""`app.py read`: what was read from a file, with its places, and what of it is missing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app import main
from tests.documents.makepdf import pdf, scanned, set_lines, table, write
from tests.documents.reader.test_pdf import encrypted
from tests.places import ROOT

Run = Callable[..., tuple[int, str, str]]
FORM = ROOT / "tests" / "data" / "documents" / "休暇申請書.pdf"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`app.py read <arguments>`: exit status, standard output, standard error."""

    def read(*arguments: object) -> tuple[int, str, str]:
        places = ["--data-dir", tmp_path / "data", "--log-level", "ERROR"]
        status = main(["read", *map(str, arguments), *map(str, places)])
        return (status, *capsys.readouterr())

    return read


def test_a_form_is_shown_under_its_page(run: Run, tmp_path: Path) -> None:
    status, out, err = run(FORM)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "[1ページ]" and "申請者の部署 資材管理課" in lines
    assert not (tmp_path / "data").exists()  # nothing of it is kept


def test_the_formats_say_place_text_and_problem(run: Run, tmp_path: Path) -> None:
    pieces, drawing = table([["月", "件数", "人数"], ["四月", "30", ""], ["五月", "12", "3"]])
    path = write(tmp_path / "件数.pdf", pdf([pieces, []], drawings=[drawing]))
    status, out, err = run(path, "--format", "json", "--no-ocr")
    result = json.loads(out)
    assert status == 0 and (result["file"], result["kind"]) == ("件数.pdf", "pdf")
    first, second = result["parts"]
    assert first["page"] == 1 and first["place"]["label"] == "1ページ" and first["problem"] is None
    assert "| 月: 四月 | 件数: 30 | 人数: — |" in first["text"]
    assert (second["text"], second["problem"]) == ("", "no_text")
    assert result["problems"] == ["2ページ: 文字がありません（OCRが必要）"]
    assert err.strip() == result["problems"][0]

    _, out, _ = run(path, "--format", "md", "--no-ocr")
    assert "## 1ページ\n\n| 月 | 件数 | 人数 |" in out
    assert "## 2ページ\n\n> 2ページ: 文字がありません（OCRが必要）" in out


def test_other_kinds_have_their_own_places(run: Run, tmp_path: Path) -> None:
    sheet = tmp_path / "売上.csv"
    sheet.write_text("支店,4月,5月\n仙台,1,2\n青葉,3,4\n", encoding="cp932")
    _, out, _ = run(sheet, "--format", "json")
    places = [part["place"]["label"] for part in json.loads(out)["parts"]]
    assert places and all("A" in place for place in places)


def test_a_password_is_asked_for_and_taken(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "秘密.pdf", encrypted("himitsu"))
    for arguments, said in ((), "--password"), (("--password", "chigau"), "違います"):
        status, out, err = run(path, *arguments)
        assert (status, out) == (2, "") and "秘密.pdf" in err and said in err
        assert err.count("\n") == 1
    status, out, _ = run(path, "--password", "himitsu")
    assert status == 0 and "秘密の文書である。" in out


@pytest.mark.parametrize(
    ("name", "data"), [("無.pdf", None), ("空.pdf", b""), ("壊.pdf", b"%PDF-1.7 broken")]
)
def test_what_cannot_be_read_is_one_sentence(
    name: str, data: bytes | None, run: Run, tmp_path: Path
) -> None:
    if data is not None:
        write(tmp_path / name, data)
    status, out, err = run(tmp_path / name)
    assert (status, out) == (2, "") and name in err and err.count("\n") == 1


@pytest.mark.thorough
def test_a_scan_says_which_engine_read_it(run: Run, tmp_path: Path) -> None:
    path = write(
        tmp_path / "紙.pdf", scanned(pdf([set_lines(["会議は三時から始まります。"], size=14)]), [1])
    )
    _, out, _ = run(path)
    lines = out.splitlines()
    assert lines[0] == "[1ページ]" and "PP-OCRv6" in lines[1] and "会議は三時" in lines[2]
    _, out, _ = run(path, "--format", "json")
    (part,) = json.loads(out)["parts"]
    assert part["recognised"]["engine"] == "PP-OCRv6" and part["recognised"]["confidence"] > 0.8
