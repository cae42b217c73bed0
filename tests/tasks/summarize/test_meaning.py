"""Sources found by meaning: a real embedding model in its process, tiny and of two languages."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.documents.makemodel import bilingual_model
from tests.places import BUILTIN_DIR
from tests.tasks.summary_world import ME, World, in_world
from webui.documents.search.embedder_process import EmbedderProcess, LocalEmbedder
from webui.strings import Language
from webui.tasks.formats import Formats
from webui.tasks.meaning import FindEmbedder, outstanding
from webui.tasks.summarize.composing import Point
from webui.tasks.summarize.evidence import evidence_of
from webui.tasks.summarize.exports import json_values
from webui.tasks.summarize.result import Summary, summary_from
from webui.tasks.summarize.settings import SummarySettings
from webui.tasks.summarize.source import Source, pasted
from webui.tasks.summarize.spans import spans_of
from webui.tasks.summarize.summarizer import Summarizer
from webui.text.grounding import FlagKind, Grounding

pytestmark = pytest.mark.thorough  # torch takes ten seconds to import

WORDS = (
    ("revenue", "売上"), ("rose", "増え", "伸び"), ("factory", "工場"), ("opens", "開く", "稼働"),
    ("spring", "春"), ("employees", "従業員"), ("training", "研修"), ("president", "社長"),
    ("retires", "退く", "退任"), ("export", "輸出"), ("delayed", "遅れ"), ("storm", "嵐", "台風"),
)  # fmt: skip
SENTENCES = (
    "The revenue rose by 12%.",
    "A factory opens in spring.",
    "All employees get training.",
    "The president retires.",
    "The export was delayed by a storm.",
    "Zyzzyva qwxk bvnm.",
)
SOURCE = pasted("\n".join(SENTENCES))


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEmbedder]:
    folder = bilingual_model(tmp_path_factory.mktemp("model") / "bilingual", WORDS)
    process = EmbedderProcess(folder, num_threads=1)
    yield LocalEmbedder("bilingual", process)
    process.stop()


def points_of(source: Source, *bullets: str) -> list[Point]:
    """Bullets that may be of any of its sentences."""
    [whole] = spans_of(source, 1, 10_000, 2, len)
    return [Point(bullet, whole) for bullet in bullets]


def grounded(find: FindEmbedder, *bullets: str) -> list[Grounding]:
    evidence = asyncio.run(evidence_of(SOURCE, points_of(SOURCE, *bullets), Language.JA, find))
    assert [point.text for point, _ in evidence.bullets] == list(bullets)
    return [found for _, found in evidence.bullets]


@pytest.mark.parametrize(
    ("bullet", "index"),
    [("春に工場が稼働する。", 1), ("従業員は研修を受ける。", 2), ("社長が退任する。", 3),
     ("台風で輸出が遅れた。", 4)],
)  # fmt: skip
def test_another_language_is_found_by_meaning(
    embedder: LocalEmbedder, bullet: str, index: int
) -> None:
    (found,) = grounded(lambda: embedder, bullet)
    assert [(source.index, source.by) for source in found.sources] == [(index, "meaning")]
    assert found.flags == ()
    (by_words,) = grounded(lambda: None, bullet)
    assert [source.by for source in by_words.sources] == ["given"] and by_words.flags == ()


def test_numbers_are_still_compared(embedder: LocalEmbedder) -> None:
    right, wrong = grounded(lambda: embedder, "売上は12%増えた。", "売上は30%増えた。")
    assert right.sources[0].index == wrong.sources[0].index == 0
    assert right.flags == ()
    assert [(flag.kind, flag.text) for flag in wrong.flags] == [(FlagKind.NUMBER, "30%")]


def test_nothing_is_found_where_nothing_stands_out(embedder: LocalEmbedder) -> None:
    (found,) = grounded(lambda: embedder, "売上、工場、従業員、社長、輸出。")
    assert [source.by for source in found.sources] == ["given"]


def test_quotations_and_supported_bullets_start_no_process(embedder: LocalEmbedder) -> None:
    idle = LocalEmbedder("idle", EmbedderProcess(Path("nowhere")))
    asked = []

    def find() -> LocalEmbedder:
        asked.append(True)
        return idle

    evidence = evidence_of(
        SOURCE, points_of(SOURCE, "The factory opens in spring."), Language.EN, find
    )
    assert asyncio.run(evidence).bullets[0][1].sources[0].index == 1
    grounded(find, SENTENCES[0])
    assert not asked and not idle.process.is_loaded


def test_other_words_of_one_language_are_found_too(embedder: LocalEmbedder) -> None:
    source = pasted("台風が来た。\n工場が稼働する。\n社長が代わる。")
    evidence = asyncio.run(
        evidence_of(source, points_of(source, "嵐だ。"), Language.JA, lambda: embedder)
    )
    found = evidence.bullets[0][1]
    assert [(one.index, one.by) for one in found.sources] == [(0, "meaning")]
    assert found.flags == ()


def test_the_builtin_and_a_broken_embedder_leave_it_to_words(
    embedder: LocalEmbedder, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "modules.json").write_text("{", encoding="utf-8")
    (broken / "model.safetensors").write_bytes(b"\0" * 100)
    process = EmbedderProcess(broken)
    bullets = ("売上は12%増えた。", "社長が退任する。")
    by_words = grounded(lambda: None, *bullets)
    try:
        assert grounded(lambda: LocalEmbedder("broken", process), *bullets) == by_words
        assert grounded(lambda: embedder._replace(is_builtin=True), *bullets) == by_words
    finally:
        process.stop()


def test_a_run_says_what_it_found_by_meaning(embedder: LocalEmbedder, tmp_path: Path) -> None:
    """The built-in model's bullets hold words that the embedder does not know: like the last."""
    settings = SummarySettings.parse({"num_bullets": 2, "language": "ja"})

    async def summary(world: World, find: FindEmbedder) -> Summary:
        formats = Formats(world.storage)
        run = Summarizer(world.storage, world.pool, formats, find).run(ME, SOURCE, settings)
        updates = [update async for update in run]
        result = updates[-1].result
        assert result is not None, updates[-1].error
        return result

    async def test(world: World) -> None:
        found = await summary(world, lambda: embedder)
        quotes = [quote for bullet in found.bullets for quote in bullet.sources]
        assert any(quote.by == "meaning" for quote in quotes)
        assert "note_by_meaning" in found.notes and "note_cross_language" not in found.notes
        values = json.loads(json.dumps(json_values(found)))
        assert {one["by"] for b in values["bullets"] for one in b["sources"]} >= {"meaning"}
        assert summary_from(json.loads(json.dumps(found.values()))) == found
        plain = await summary(world, lambda: None)
        assert "note_cross_language" in plain.notes

    in_world(BUILTIN_DIR, tmp_path, test)


def test_standing_out_is_relative_to_the_model() -> None:
    """Whatever cosine unrelated texts have in it, and however they spread."""
    noise = np.array([0, 1, -1, 2, -2, 1, -1, 0, 2, -2]) / 2
    for base, spread in ((0.0, 0.1), (0.4, 0.05), (0.77, 0.015)):
        cosines = base + spread * noise
        cosines[3] = base + 5 * spread
        assert [one.index for one in outstanding(cosines)] == [3]
        assert [one.index for one in outstanding(cosines, range(2, 5))] == [3]
        assert outstanding(cosines, range(5, 9)) == ()
        cosines[3] = base + 1.5 * spread
        assert outstanding(cosines) == ()
    assert outstanding(np.array([1.0])) == ()


def test_a_real_embedder_finds_what_it_knows() -> None:
    """Cosines of multilingual-e5-small: a bullet in Japanese, the sentences in English."""
    right = np.array([0.906, 0.79, 0.806, 0.78, 0.795, 0.80, 0.785], np.float32)
    assert [one.index for one in outstanding(right)] == [0]
    none = np.array([0.806, 0.79, 0.80, 0.78, 0.795, 0.785], np.float32)
    assert outstanding(none) == ()
