"""Wording files, exports, and what is read: everything around a summary but the model."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from webui.documents.reader.loader import load
from webui.prompts.task_prompts import TASKS_DIR, TaskPromptError, parse_task_prompt, task_prompt
from webui.strings import Language
from webui.tasks.summarize.exports import ExportFormat, exported, json_values
from webui.tasks.summarize.minutes import Item
from webui.tasks.summarize.result import Bullet, Quote, Summary
from webui.tasks.summarize.settings import Granularity, Style, SummarySettings, SummarySettingsError
from webui.tasks.summarize.source import EmptySourceError, from_pages, pasted
from webui.text.grounding import Flag, FlagKind
from webui.text.language import is_in
from webui.text.pages import Page, PageProblem

SUMMARY = Summary(
    title="第1四半期 <報告>",
    bullets=(
        Bullet(
            "売上は*12%*増えた。",
            (Quote(3, "売上は12%増えた。", 0.9, 0, 10),),
            (Flag(FlagKind.NUMBER, "12%", 4, 7),),
            "売上",
        ),
        Bullet("利益は横ばい。", (), (), "利益"),
    ),
    language_ok=True,
    first_try_share=1.0,
    sections=(),
    covered=(0.5, 0.0),
    model="some model",
    settings={},
    notes=("note_pages",),
    timings={"total_s": 1.0},
    file_name="報告 書.pdf",
)


@pytest.mark.parametrize("path", sorted(TASKS_DIR.glob("*.toml")), ids=lambda path: path.name)
def test_every_wording_has_what_summaries_ask_for(path: Path) -> None:
    task, language = path.name.split(".")[:2]
    wording = task_prompt(task, Language(language))
    if task not in ("summarize", "reduce", "extract"):
        return
    names = {"rules", "title", *(f"style_{style}" for style in Style)}
    if task != "extract":
        names |= {"key", "again"}
        names |= {f"length_{granularity}" for granularity in Granularity}
    if task == "summarize":
        names |= {"speaker", "facts", *(f"kind_{item}" for item in Item)}
    assert names == set(wording.phrases)


def test_the_classic_form_works_as_written() -> None:
    wording = task_prompt("summarize", Language.JA)
    (message,) = wording.messages(text="本文$1", rules="", conditions="")
    assert message["content"] == (
        "以下の内容を日本語で箇条書きを使って要約してください:\n\n本文$1\n\n要約:"
    )


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"user": "$text", "variables": ["text"], "extra": 1}, "extra"),
        ({"user": "$text $other", "variables": ["text"]}, "other"),
        ({"user": "no place", "variables": ["text"]}, "text"),
        ({"user": "5$", "variables": []}, "$"),
        ({"variables": []}, "user"),
        ({"user": 3, "variables": []}, "user"),
        ({"user": "$text", "variables": ["text"], "family": {"x": {"users": ""}}}, "users"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_wording_file_is_named(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(TaskPromptError) as caught:
        parse_task_prompt(Path("made.ja.toml"), values)
    message = caught.value.message(Language.EN)
    assert "made.ja.toml" in message and problem in message


def test_exports_say_pages_and_doubts() -> None:
    markdown = exported(SUMMARY, ExportFormat.MARKDOWN, Language.JA).decode()
    assert "[p.3](%E5%A0%B1%E5%91%8A%20%E6%9B%B8.pdf#page=3)" in markdown
    assert "\\*12%\\*" in markdown and "⚠" in markdown and "## 売上" in markdown
    text = exported(SUMMARY, ExportFormat.TEXT, Language.JA).decode()
    assert text.startswith("売上\n・売上は*12%*増えた。\n　　p.3 「売上は12%増えた。」\n　　⚠ ")
    assert "\n\n利益\n・利益は横ばい。\n" in text


@pytest.mark.parametrize("kind", ExportFormat)
def test_every_export_carries_sources_and_the_caveat(kind: ExportFormat) -> None:
    data = exported(SUMMARY, kind, Language.JA)
    if kind is ExportFormat.WORD:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read("word/document.xml")
    written = data.decode()
    assert "売上は12%増えた。" in written
    assert "正しさを保証するものではありません" in written
    assert "人が編集した項目" not in written
    edited = replace(SUMMARY, bullets=(replace(SUMMARY.bullets[0], is_edited=True),))
    if kind is not ExportFormat.WORD:
        assert "人が編集した項目" in exported(edited, kind, Language.JA).decode()


def test_what_was_found_by_meaning_is_marked() -> None:
    near = Quote(page=4, quote="Sales rose.", score=0.7, start=0, end=11, by="meaning")
    bullet = replace(SUMMARY.bullets[0], sources=(*SUMMARY.bullets[0].sources, near))
    summary = replace(SUMMARY, bullets=(bullet,))
    markdown = exported(summary, ExportFormat.MARKDOWN, Language.JA).decode()
    assert "[p.3](" in markdown and "[≈ p.4](" in markdown
    with zipfile.ZipFile(io.BytesIO(exported(summary, ExportFormat.WORD, Language.JA))) as archive:
        assert "≈ p.4 「Sales rose.」" in archive.read("word/document.xml").decode()


def test_json_has_the_documented_shape() -> None:
    values = json.loads(exported(SUMMARY, ExportFormat.JSON, Language.JA))
    assert values.pop("made_by")
    assert values == json.loads(json.dumps(json_values(SUMMARY)))
    first = values["bullets"][0]
    assert {"text", "sources", "flags"} <= set(first)
    assert {"page", "quote", "score"} <= set(first["sources"][0])
    assert {"language_ok", "sections", "model", "timings"} <= set(values)


def test_word_files_are_whole() -> None:
    data = exported(SUMMARY, ExportFormat.WORD, Language.JA)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            ElementTree.fromstring(archive.read(name))
        text = archive.read("word/document.xml").decode()
    assert "売上は*12%*増えた。" in text and "&lt;報告&gt;" in text


def test_our_own_reader_reads_our_word_files(tmp_path: Path) -> None:
    path = tmp_path / "summary.docx"
    path.write_bytes(exported(SUMMARY, ExportFormat.WORD, Language.JA))
    assert "・利益は横ばい。" in load(path)[0].text


@pytest.mark.parametrize(
    ("problem", "key"),
    [(PageProblem.NO_TEXT, "summary.scanned"), (PageProblem.GARBLED, "summary.garbled")],
)
def test_a_scan_says_what_to_do(problem: PageProblem, key: str) -> None:
    with pytest.raises(EmptySourceError) as caught:
        from_pages([Page(1, "", problem=problem)], file_name="scan.pdf")
    assert caught.value.key == key and "scan.pdf" in caught.value.message()


def test_pages_keep_their_numbers() -> None:
    pages = [
        Page(1, "最初の文です。途中で切れ", continues=True),
        Page(2, "る文です。", problem=PageProblem.NONE),
        Page(3, "", problem=PageProblem.NO_TEXT),
        Page(4, "最後の文です。"),
    ]
    source = from_pages(pages)
    found = {source.sentence(i): place.page for i, place in enumerate(source.sentences)}
    assert found == {"最初の文です。": 1, "途中で切れる文です。": 1, "最後の文です。": 4}
    assert source.unusable_pages == ((3, "no_text"),)


def test_lines_inside_sentences_are_joined() -> None:
    text = "この文は行の途中で折り返されていて、次の行に\n続いています。The next line\ngoes on."
    assert "折り返されていて、次の行に続いています。" in pasted(text).text


@pytest.mark.parametrize(
    ("text", "is_japanese"),
    [
        ("売上は増えた。", True),
        ("Ask-LLMは質を評価する。", True),
        ("売上高前年比増。", True),
        ("该公司的销售额比去年增长了很多。", False),
        ("The revenue rose.", False),
        ("12%、3,400。", False),
        ("매출이 늘었다。", False),
    ],
)
def test_the_language_guard(text: str, is_japanese: bool) -> None:
    assert is_in(Language.JA, text) is is_japanese


@pytest.mark.parametrize("bad", [{"num_bullets": 21}, {"num_bullets": -1}, {"num_bullets": True},
                                 {"mode": "poem"}, {"language": "fr"}])  # fmt: skip
def test_settings_that_do_not_exist_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(SummarySettingsError):
        SummarySettings.parse(bad)
