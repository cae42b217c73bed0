"""Perplexities side by side: what may be compared, with which error, in which form."""

import dataclasses
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from webui.storage import Storage
from webui.strings import Language
from webui.workshop.bench import BenchRow, rate
from webui.workshop.perplexity import PerplexityResults, PerplexityRow
from webui.workshop.plot import plot
from webui.workshop.report import report, to_csv, to_markdown

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def results(tmp_path: Path) -> PerplexityResults:
    return PerplexityResults(Storage(tmp_path / "x.db"))


def row(model_id: str, losses: "np.ndarray[tuple[int], np.dtype[np.float64]]", tokens: str = "t",
        name: str = "Model", gigabytes: float = 1.0) -> PerplexityRow:  # fmt: skip
    value = math.exp(losses.mean())
    error = value * float(losses.std(ddof=1)) / math.sqrt(len(losses))
    size = int(gigabytes * 1e9)
    return PerplexityRow(
        model_id, name, model_id.upper(), size, value, error, len(losses), tokens, "", 1.0
    )


def speed(model_id: str, num_streams: int, name: str = "Model", size: float = 1.0) -> BenchRow:
    return BenchRow(
        model_id, name, model_id.upper(), int(size * 1e9), num_streams, 100.0, 8.0 / size, 0.5,
        10**9, 2, "here", 1.0,
    )  # fmt: skip


def test_ratios_are_paired_token_by_token(results: PerplexityResults) -> None:
    """Each alone is uncertain by 6 %, their difference by a tenth of a percent."""
    dice = np.random.default_rng(1)
    best = dice.exponential(2.0, 1000)
    worse = best + 0.01 + dice.normal(0, 0.02, 1000)
    results.add(row("q8", best), best.astype(np.float32))
    results.add(row("q2", worse), worse.astype(np.float32))
    ratio = results.ratios()["q2"]
    assert ratio.value == pytest.approx(math.exp((worse - best).mean()), rel=1e-5)
    assert ratio.error == pytest.approx(0.02 / math.sqrt(1000), rel=0.1)
    rows = {one.model_id: one for one in results.rows()}
    assert rows["q2"].error / rows["q2"].value > 0.05
    assert results.ratios()["q8"].value == 1


def test_other_tokens_are_another_comparison(results: PerplexityResults) -> None:
    losses = np.linspace(1, 3, 300)
    results.add(row("a", losses), losses.astype(np.float32))
    results.add(row("b", losses * 2, tokens="u"), losses.astype(np.float32))
    assert {model: ratio.value for model, ratio in results.ratios().items()} == {"a": 1, "b": 1}
    results.clear()
    assert results.rows() == [] and results.ratios() == {}


def test_one_table_of_speed_and_perplexity(results: PerplexityResults) -> None:
    losses = np.linspace(1, 3, 300)
    for number, model_id in enumerate(("f16", "q4", "q2")):
        results.add(
            row(model_id, losses + number / 100, gigabytes=3 - number), losses.astype(np.float32)
        )
    speeds = [speed("f16", 1, size=3), speed("f16", 4, size=3), speed("q4", 1, size=2)]
    rows = report(speeds, results.rows(), results.ratios())
    shown = [(one.model_id, one.num_streams, one.perplexity > 0) for one in rows]
    assert shown == [("f16", 1, True), ("f16", 4, False), ("q4", 1, True), ("q2", 0, True)]
    markdown = to_markdown(rows)
    assert markdown.count("\n") == 6 and "±" in markdown
    assert to_csv(rows).count("\n") == 5
    picture = ET.fromstring(plot(rows, Language.JA))
    assert len(picture.findall(f"{SVG}circle")) == 2 + 3


def test_hostile_names_stay_text(results: PerplexityResults) -> None:
    losses = np.linspace(1, 3, 300)
    name = '<script>|"&\u202e=1+1'
    for model_id in ("=cmd", "@sum"):
        results.add(row(model_id, losses, name=name), losses.astype(np.float32))
    rows = report([], results.rows(), results.ratios())
    picture = ET.fromstring(plot([*rows, dataclasses.replace(rows[0], name="x", model_id="y")],
                                 Language.EN))  # fmt: skip
    assert not list(picture.iter(f"{SVG}script"))
    assert "'=cmd" in to_csv(rows)
    assert all(line.count("|") - line.count("\\|") == 11 for line in to_markdown(rows).splitlines())


def test_nothing_to_compare_is_no_picture() -> None:
    assert plot([], Language.JA) == ""
    assert plot(report([speed("a", 1)], [], {}), Language.JA) == ""


@pytest.mark.parametrize(
    ("tokens_per_s", "rating"),
    [(1, "slow"), (2.5, "minimum"), (5, "comfortable"), (10, "comfortable"), (25, "fast"),
     (60, "batch")],
)  # fmt: skip
def test_speeds_are_rated_as_people_feel_them(tokens_per_s: float, rating: str) -> None:
    assert rate(tokens_per_s) == rating
