"""How right, how fast and how large the built-in character recognition is.

    python -m tests.bench.ocr --dir DIR [--engine tesseract] [--only NAME]

Every `*.pdf` of DIR whose text can be read is drawn: its first page in 150, 200 and 300 dots per
inch, skewed by 1.5 degrees, and as a JPEG of quality 40. The truth is the text layer's text; the
order counts, because everything else than it is an error. Processor seconds and peak memory are the
engine's. One JSON line last.
"""

import argparse
import io
import json
import resource
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pypdfium2
from PIL import Image

from tests.bench.pdf import cer, printed
from webui.documents.reader import tesseract
from webui.documents.reader.loader import load, with_recognised
from webui.documents.reader.paper import Paper
from webui.documents.reader.rapid import page_of
from webui.documents.reader.recogniser import Engine
from webui.documents.reader.repair import PageLines, repaired_pages
from webui.errors import AppError
from webui.text.pages import RecognisedPage

VARIANTS = ("150", "200", "300", "skew", "jpeg")


def main(directory: Path, engine_name: str, only: str) -> dict[str, object]:
    engine = Engine() if engine_name != tesseract.NAME else None
    rates: dict[str, list[float]] = {}
    seconds: list[float] = []
    for path in sorted(directory.glob("*.pdf")):
        if only not in path.name or (first := truth_of(path)) is None:
            continue
        direction, truth = first
        for variant, image in pictures(path):
            dots = {"150": 150, "300": 300}.get(variant, 200) / 72
            start = time.process_time() if engine else time.perf_counter()
            seen = recognised(engine, image, dots)
            seconds.append((time.process_time() if engine else time.perf_counter()) - start)
            rate = cer(text_of(seen, image, dots), truth, spaces=False)
            rates.setdefault(f"{direction}_{variant}", []).append(rate)
            print(f"{path.name:36} {variant:5} {rate:.4f} {seconds[-1]:5.1f} s "
                  f"sure {seen.confidence:.3f}", flush=True)  # fmt: skip
    return {
        "engine": engine_name,
        "cer": {name: round(statistics.mean(found), 4) for name, found in sorted(rates.items())},
        "worst": {name: round(max(found), 4) for name, found in sorted(rates.items())},
        "s_per_page": round(statistics.mean(seconds), 2) if seconds else None,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000,
    }


def truth_of(path: Path) -> tuple[str, str] | None:
    """How its first page is set and its text; None where the text layer is no use."""
    try:
        page = printed(load(path)[0])
    except AppError:
        return None
    if page.problem or not page.text:
        return None
    num_down = sum(run.end - run.start for run in page.runs if run.is_vertical)
    return ("vertical" if 2 * num_down > len(page.text) else "horizontal"), page.text


def pictures(path: Path) -> Iterator[tuple[str, Image.Image]]:
    document = pypdfium2.PdfDocument(path)
    for variant in VARIANTS:
        dots = {"150": 150, "300": 300}.get(variant, 200)
        image = document[0].render(scale=dots / 72, grayscale=True).to_pil()
        if variant == "skew":
            image = image.rotate(1.5, resample=Image.Resampling.BICUBIC, fillcolor=255)
        if variant == "jpeg":
            packed = io.BytesIO()
            image.save(packed, "JPEG", quality=40)
            image = Image.open(packed)
        yield variant, image
    document.close()


def recognised(engine: Engine | None, image: Image.Image, dots: float) -> RecognisedPage:
    if engine:
        lines = engine.lines(np.asarray(image, np.uint8), dots)
        return page_of(1, [line.wire() for line in lines], dots)
    png = cv2.imencode(".png", np.asarray(image, np.uint8))[1].tobytes()
    return tesseract.recognised(1, png, dots)


def text_of(seen: RecognisedPage, image: Image.Image, dots: float) -> str:
    page = PageLines(1, [], image.width / dots, image.height / dots)
    found = repaired_pages([with_recognised(page, seen, Paper())])[0]
    return printed(found).text


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--engine", default="built-in", choices=["built-in", tesseract.NAME])
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    print(json.dumps(main(given.dir, given.engine, given.only)))
