"""A summary as Markdown, plain text, JSON or Word. Pure; knows nothing about files or HTTP."""

import json
from collections.abc import Iterator
from enum import StrEnum
from itertools import groupby
from typing import Any
from urllib.parse import quote

from webui.strings import Language, text
from webui.tasks.summarize.docx import Paragraph, docx_bytes
from webui.tasks.summarize.result import Bullet, Quote, Summary
from webui.text.grounding import Flag

_MARKDOWN_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_[]<>#|~"})


class ExportFormat(StrEnum):
    MARKDOWN = "md"
    TEXT = "txt"
    JSON = "json"
    WORD = "docx"


MEDIA_TYPES = {
    ExportFormat.MARKDOWN: "text/markdown; charset=utf-8",
    ExportFormat.TEXT: "text/plain; charset=utf-8",
    ExportFormat.JSON: "application/json",
    ExportFormat.WORD: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


def exported(summary: Summary, kind: ExportFormat, language: Language) -> bytes:
    """The summary as a file of this kind; labels in `language`."""
    match kind:
        case ExportFormat.MARKDOWN:
            return to_markdown(summary, language).encode()
        case ExportFormat.TEXT:
            return to_text(summary, language).encode()
        case ExportFormat.JSON:
            return to_json(summary, language).encode()
        case ExportFormat.WORD:
            return to_word(summary, language)


def to_text(summary: Summary, language: Language) -> str:
    """The bullets, each with the sentences it rests on, and what has to be said of them."""
    lines: list[str] = []
    for title, bullets in _by_section(summary):
        lines += ["", title] if title else []
        for bullet in bullets:
            lines.append(f"・{bullet.text}")
            lines += [f"　　{_source_text(source, language)}" for source in bullet.sources]
            lines += [f"　　⚠ {_flag_text(flag, language)}" for flag in bullet.flags]
    lines += ["", *notes_of(summary, language), made_by(summary, language)]
    return "\n".join(lines).lstrip("\n") + "\n"


def to_markdown(summary: Summary, language: Language) -> str:
    """Bullets with links to their pages, their sources and flags in words."""
    lines = [f"# {_escaped(summary.title)}", ""]
    for title, bullets in _by_section(summary):
        lines += [f"## {_escaped(title)}", ""] if title else []
        for bullet in bullets:
            links = " ".join(_links(summary, bullet, language))
            lines.append(f"- {_escaped(bullet.text)}{' ' + links if links else ''}")
            lines += [f"  > {_escaped(_source_text(s, language))}" for s in bullet.sources]
            lines += [f"  - ⚠ {_flag_text(flag, language)}" for flag in bullet.flags]
        lines.append("")
    lines += [f"> {note}" for note in notes_of(summary, language)]
    lines.append(f"*{_escaped(made_by(summary, language))}*")
    return "\n".join(lines) + "\n"


def to_json(summary: Summary, language: Language) -> str:
    values = {**json_values(summary), "made_by": made_by(summary, language)}
    return json.dumps(values, ensure_ascii=False, indent=1) + "\n"


def json_values(summary: Summary) -> dict[str, Any]:
    """The documented shape: bullets with sources and flags, language_ok, sections, model, …"""
    values = summary.values()
    return {
        "title": values["title"],
        "file": values["file_name"],
        "bullets": values["bullets"],
        "language_ok": values["language_ok"],
        "first_try_share": values["first_try_share"],
        "sections": list(values["sections"]),
        "coverage": list(values["covered"]),
        "notes": list(values["notes"]),
        "pages_left_out": list(values["pages_left_out"]),
        "model": values["model"],
        "settings": values["settings"],
        "timings": values["timings"],
    }


def to_word(summary: Summary, language: Language) -> bytes:
    paragraphs = [Paragraph(summary.title, "Title")]
    for title, bullets in _by_section(summary):
        paragraphs += [Paragraph(title, "Heading1")] if title else []
        for bullet in bullets:
            paragraphs.append(Paragraph(f"・{bullet.text}", "ListBullet"))
            paragraphs += [Paragraph(_source_text(q, language), "Quote") for q in bullet.sources]
            flags = (f"⚠ {_flag_text(flag, language)}" for flag in bullet.flags)
            paragraphs += [Paragraph(line, "Quote") for line in flags]
    paragraphs += [Paragraph(note, "Quote") for note in notes_of(summary, language)]
    return docx_bytes([*paragraphs, Paragraph(made_by(summary, language), "Quote")])


def notes_of(summary: Summary, language: Language) -> list[str]:
    return [text(f"summary.{name}", language) for name in summary.notes]


def made_by(summary: Summary, language: Language) -> str:
    """Who wrote it and what that is worth: every export ends with it."""
    said = text("summary.made_by", language, model=summary.model)
    is_changed = summary.num_removed or any(bullet.is_edited for bullet in summary.bullets)
    return f"{said} {text('summary.edited', language)}" if is_changed else said


def _flag_text(flag: Flag, language: Language) -> str:
    return text(f"summary.flag_{flag.kind}", language, text=flag.text)


def _by_section(summary: Summary) -> Iterator[tuple[str, list[Bullet]]]:
    for title, bullets in groupby(summary.bullets, key=lambda bullet: bullet.section):
        yield title, list(bullets)


def _links(summary: Summary, bullet: Bullet, language: Language) -> Iterator[str]:
    labels = {
        place_label(source, language): f"#page={source.page}" if source.page else ""
        for source in bullet.sources
        if source.page or source.place
    }
    for label, part in labels.items():
        yield f"[{_escaped(label)}]({quote(summary.file_name)}{part})"


def place_label(source: Quote, language: Language) -> str:
    """Page or place, with the mark that `note_by_meaning` uses for what was found by meaning."""
    mark = "≈ " if source.by == "meaning" else ""
    if source.place:
        return mark + source.place.label(language)
    return f"{mark}p.{source.page}" if source.page else mark.strip()


def _source_text(source: Quote, language: Language) -> str:
    where = f"{place_label(source, language)} ".lstrip()
    return f"{where}「{source.quote}」" if language is Language.JA else f'{where}"{source.quote}"'


def _escaped(line: str) -> str:
    return " ".join(line.split()).translate(_MARKDOWN_SPECIAL)
