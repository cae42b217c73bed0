"""What real weights make of real texts; KAJOGAKI_REAL_MODELS names the folder that has them."""

import os
import re
from pathlib import Path

import pytest

from tests.places import ROOT
from tests.tasks.summary_world import World, in_world
from webui.strings import Language
from webui.text.language import chinese_in, is_in

FOLDER = os.environ.get("KAJOGAKI_REAL_MODELS", "")
LARGE = "qwen2.5-coder-1.5b-instruct-q4_k_m"
ABSTRACT = ROOT / "tests" / "data" / "ask-llm-abstract.en.txt"

pytestmark = [
    pytest.mark.real,
    pytest.mark.content,
    pytest.mark.skipif(not FOLDER, reason="KAJOGAKI_REAL_MODELS names no folder of real weights"),
]

TOLD = {
    "the cost of training": "高価|高コスト|費用|コスト|高額",
    "data-efficient selection": "データ効率|データの?選[択別定]",
    "Ask-LLM": "Ask-LLM",
    "Density sampling": "Density",
    "19 samplers": "19",
    "coverage recovers full data": "(?:Coverage|カバ|被覆|網羅).*(?:再現|回復|取り戻|同等)",
    "90% rejected": "90|9割",
    "70% faster": "70|7割",
}
WRONG = (
    r"^(?!.*Ask-LLM).*(?:Density|Coverage|カバレッジ|カバー).*(?:90|70)[%％]",  # it is Ask-LLM's
    r"Density(?!.*Ask-LLM).*ゼロショット",
    r"^(?!.*(?:Density|密度)).*Ask-LLM.*(?:分布をモデル|多様な標本)",
)


def test_an_english_abstract_is_told_in_japanese(tmp_path: Path) -> None:
    """Of eight points at least six, and none of them said of another method."""

    async def test(world: World) -> None:
        text = ABSTRACT.read_text(encoding="utf-8")
        result = await world.summarize(text, num_bullets=6)
        bullets = [bullet.text for bullet in result.bullets]
        assert len(bullets) == 6 and result.language_ok
        assert all(is_in(Language.JA, bullet) for bullet in bullets)
        assert not any(chinese_in(bullet, text) for bullet in bullets)
        assert all(bullet.sources for bullet in result.bullets)
        told = {name for name, form in TOLD.items() if any(re.search(form, b) for b in bullets)}
        assert len(told) >= 6, (sorted(TOLD.keys() - told), bullets)
        wrong = [bullet for bullet in bullets if any(re.search(form, bullet) for form in WRONG)]
        assert not wrong

    in_world(Path(FOLDER), tmp_path, test, model=LARGE)
