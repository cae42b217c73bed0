"""How fast each kind of document is read, and with how much memory, in the real document worker.

    python -m tests.bench.reading [KIND …]

One line a kind: what it was made of, seconds from the file to its chunks, units (rows, paragraphs,
slides…) per second, the worker's own processor seconds (its start too) and its peak of memory. The
last line is JSON.
"""

import email.message
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pptx
import psutil
import xlsxwriter

from tests.documents.reader.office import docx, p, zipped
from webui.documents.process import DocumentReader

POLL_S = 0.02
_WORDS = "会議 資料 予算 売上 計画 部署 点検 契約 納期 確認 地域 支店 担当 報告 改善 目標".split()


def sentence(chance: random.Random) -> str:
    return "、".join(chance.sample(_WORDS, 5)) + f"は{chance.randrange(1000)}件である。"


def sheet(chance: random.Random, num_rows: int = 100_000) -> tuple[bytes, int]:
    data = BytesIO()
    book = xlsxwriter.Workbook(data, {"constant_memory": True})
    page = book.add_worksheet("明細")
    day = book.add_format({"num_format": "yyyy/m/d"})
    page.write_row(
        0, 0, ["番号", "日付", "支店", "担当", "品名", "数量", "単価", "率", "備考", "区分"]
    )
    for row in range(1, num_rows + 1):
        page.write_number(row, 0, row)
        page.write_number(row, 1, 46_000 + row % 365, day)
        page.write_row(row, 2, [chance.choice(_WORDS), "山田太郎", chance.choice(_WORDS), row % 97])
        page.write_row(row, 6, [row % 9973 / 4, 0.5, "" if row % 3 else "至急", "甲"])
    book.close()
    return data.getvalue(), num_rows


def csv_file(chance: random.Random, num_rows: int = 100_000) -> tuple[bytes, int]:
    rows = (f"{n},{chance.choice(_WORDS)},山田,{n % 97},{n * 3},甲" for n in range(1, num_rows + 1))
    return "\n".join(["番号,支店,担当,数量,金額,区分", *rows]).encode("cp932"), num_rows


def word(chance: random.Random, num_paragraphs: int = 10_000) -> tuple[bytes, int]:
    return docx("".join(p(sentence(chance)) for _ in range(num_paragraphs))), num_paragraphs


def slides(chance: random.Random, num_slides: int = 200) -> tuple[bytes, int]:
    deck, data = pptx.Presentation(), BytesIO()
    for _ in range(num_slides):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = chance.choice(_WORDS)
        slide.placeholders[1].text = "\n".join(sentence(chance) for _ in range(6))
    deck.save(data)
    return data.getvalue(), num_slides


def html(chance: random.Random, num_paragraphs: int = 20_000) -> tuple[bytes, int]:
    return "".join(f"<p>{sentence(chance)}" for _ in range(num_paragraphs)).encode(), num_paragraphs


def rtf(chance: random.Random, num_paragraphs: int = 5_000) -> tuple[bytes, int]:
    lines = (
        "".join(f"\\'{byte:02x}" for byte in sentence(chance).encode("cp932")) + "\\par\n"
        for _ in range(num_paragraphs)
    )
    return ("{\\rtf1\\ansi\\ansicpg932 " + "".join(lines) + "}").encode("ascii"), num_paragraphs


def mail(chance: random.Random, num_paragraphs: int = 5_000) -> tuple[bytes, int]:
    message = email.message.EmailMessage()
    message["From"], message["Subject"] = "a@example.jp", "件名"
    message["Date"] = "Tue, 01 Dec 2026 09:30:00 +0900"
    message.set_content("\n\n".join(sentence(chance) for _ in range(num_paragraphs)))
    return message.as_bytes(), num_paragraphs


def transcript(chance: random.Random, num_cues: int = 20_000) -> tuple[bytes, int]:
    cues = (
        f"{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.000 --> {n // 3600:02}:{n // 60 % 60:02}:"
        f"{n % 60:02}.900\n<v 話者{n // 3 % 4}>{sentence(chance)}</v>\n"
        for n in range(num_cues)
    )
    return ("WEBVTT\n\n" + "\n".join(cues)).encode(), num_cues


def archive(chance: random.Random, num_files: int = 500) -> tuple[bytes, int]:
    return zipped({f"{n}.txt": sentence(chance) * 20 for n in range(num_files)}), num_files


KINDS: dict[str, tuple[str, Callable[[random.Random], tuple[bytes, int]], str]] = {
    "xlsx": ("a.xlsx", sheet, "rows of 10 cells"),
    "csv": ("a.csv", csv_file, "rows of 6 fields"),
    "docx": ("a.docx", word, "paragraphs"),
    "pptx": ("a.pptx", slides, "slides"),
    "html": ("a.html", html, "paragraphs"),
    "rtf": ("a.rtf", rtf, "paragraphs"),
    "eml": ("a.eml", mail, "paragraphs"),
    "vtt": ("a.vtt", transcript, "cues"),
    "zip": ("a.zip", archive, "files"),
}


def measured(kind: str, folder: Path) -> dict[str, object]:
    name, make, unit = KINDS[kind]
    data, count = make(random.Random(7))
    path = folder / name
    path.write_bytes(data)
    reader = DocumentReader()
    peak = [0]
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(POLL_S):
            try:
                peak[0] = max(peak[0], psutil.Process(reader.pid or -1).memory_info().rss)
            except (psutil.Error, ValueError):
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        began = time.perf_counter()
        document = reader.read(path, name)
        elapsed_s = time.perf_counter() - began
        times = psutil.Process(reader.pid or -1).cpu_times()
        cpu_s = times.user + times.system
    finally:
        is_over.set()
        watcher.join()
        reader.stop()
    num_chars = sum(len(page.text) for page in document.pages)
    result = {
        "kind": kind, "count": count, "unit": unit, "file_mb": round(len(data) / 1e6, 2),
        "seconds": round(elapsed_s, 2), "cpu_s": round(cpu_s, 2),
        "per_s": round(count / elapsed_s, 1),
        "chars": num_chars, "chunks": len(document.chunks), "peak_mb": round(peak[0] / 1e6),
    }  # fmt: skip
    print(
        f"{kind:5} {count:7,} {unit:18} {result['file_mb']:6} MB  {elapsed_s:6.2f} s"
        f" (cpu {cpu_s:5.2f} s)"
        f" {result['per_s']:10,} /s  {num_chars:11,} chars  peak {result['peak_mb']} MB",
        flush=True,
    )
    return result


def main(kinds: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        results = [measured(kind, Path(folder)) for kind in kinds or KINDS]
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1:])
