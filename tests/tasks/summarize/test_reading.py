"""Files that cannot be summarised as they are, and texts that are too large: what is told."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.makepdf import pdf, scanned, set_lines, write
from tests.documents.reader.test_pdf import encrypted
from tests.tasks.summary_world import World, covers, document, in_world
from webui.documents.errors import DocumentError, PasswordNeededError
from webui.documents.process import DocumentReader
from webui.strings import Language
from webui.tasks.summarize.reading import read_source
from webui.tasks.summarize.source import MAX_CHARS, EmptySourceError, pasted

LINES = ["売上高は前年より12%増えた。", "利益は横ばいであった。"]


@pytest.fixture(scope="module")
def reader() -> Iterator[DocumentReader]:
    reader = DocumentReader()
    yield reader
    reader.stop()


def test_a_scanned_pdf_names_ocr_as_the_way(reader: DocumentReader, tmp_path: Path) -> None:
    path = write(tmp_path / "scan.pdf", scanned(pdf([set_lines(LINES)] * 2), [1, 2]))
    with pytest.raises(EmptySourceError) as caught:
        read_source(reader, path)
    assert caught.value.key == "summary.scanned"
    for language in Language:
        message = caught.value.message(language)
        assert "scan.pdf" in message and "OCR" in message


def test_pages_without_text_are_left_out_and_said(
    reader: DocumentReader, standin: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "half.pdf", pdf([set_lines(LINES), []]))
    source = read_source(reader, path)
    assert source.unusable_pages == ((2, "no_text"),)

    async def test(world: World) -> None:
        last = (await world.updates(source, num_bullets=2, mode="verbatim"))[-1]
        assert last.result and "note_pages" in last.result.notes
        assert [bullet.text for bullet in last.result.bullets] == LINES
        assert [bullet.sources[0].page for bullet in last.result.bullets] == [1, 1]

    in_world(standin.parent, tmp_path, test)


def test_an_encrypted_pdf_asks_for_its_password(reader: DocumentReader, tmp_path: Path) -> None:
    path = write(tmp_path / "secret.pdf", encrypted("himitsu"))
    with pytest.raises(PasswordNeededError):
        read_source(reader, path)
    with pytest.raises(PasswordNeededError):
        read_source(reader, path, password="chigau")
    source = read_source(reader, path, password="himitsu")
    assert source.text.strip() == "秘密の文書である。"


@pytest.mark.parametrize("content", [b"%PDF-1.7 cut", b"MZ\x90\x00" + bytes(300), b"\x00" * 64])
def test_what_is_no_document_is_one_clear_error(
    reader: DocumentReader, tmp_path: Path, content: bytes
) -> None:
    path = write(tmp_path / "odd.pdf", content)
    with pytest.raises(DocumentError):
        read_source(reader, path)


@pytest.mark.thorough
def test_five_megabytes_are_planned_whole(standin: Path, tmp_path: Path) -> None:
    text = document(14_300)
    assert len(text.encode()) > 5_000_000 > len(text)

    async def test(world: World) -> None:
        source = await asyncio.to_thread(pasted, text)
        plan = (await world.plan(source, num_bullets=10)).plan
        assert covers(plan, source) and plan.needs_asking

    in_world(standin.parent, tmp_path, test)


def test_more_is_refused_with_its_size() -> None:
    with pytest.raises(EmptySourceError) as caught:
        pasted("長い。" * (MAX_CHARS // 3 + 1))
    assert caught.value.key == "summary.too_long"
    assert f"{MAX_CHARS:,}" in caught.value.message()


def test_a_picture_in_pasted_text_is_as_if_not_there() -> None:
    """350 kB of base64 were summarised, or refused as too long."""
    picture = "![操作盤](data:image/png;base64," + "c6m+9Jm7" * 700_000 + ")"
    source = pasted(f"# 手順書\n\n電源を入れる。\n\n{picture}\n\n青いボタンを3秒押す。")
    assert "base64" not in source.text and len(source.text) < 60
    assert source.text.endswith("青いボタンを3秒押す。")
