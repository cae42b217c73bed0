"""An answer as Markdown or as JSON, with the passages that it rests on. Pure."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from webui.strings import Language, text
from webui.tasks.ask.result import Answer, Citation, NumberedPassage
from webui.tasks.markdown import closed, escaped
from webui.text.grounding import FlagKind

MAX_QUOTE_CHARS = 200
_NOT_THERE = (FlagKind.NUMBER, FlagKind.NAME)


def to_markdown(answer: Answer, language: Language) -> str:
    """The text, then where it comes from."""
    parts = [closed(answer.text), *source_lines(answer, language)]
    if answer.notice:
        parts.append(escaped(answer.notice))
    return "\n\n".join(parts) + "\n"


def source_lines(answer: Answer, language: Language) -> Iterator[str]:
    """Blocks of Markdown: the cited places, or the nearest ones, and what is in none of them."""
    if answer.abstention and answer.passages:
        yield "**" + text("ask.nearest", language) + "**"
        yield "\n".join(
            _line(passage, passage, passage.text, language) for passage in answer.passages
        )
        return
    cited = answer.cited()
    if cited:
        best = {citation.number: citation for citation in sorted(answer.citations, key=_score)}
        yield "**" + text("ask.sources", language) + "**"
        yield "\n".join(
            _line(passage, best[passage.number], best[passage.number].quote, language)
            for passage in cited
        )
    unfound = dict.fromkeys(flag.text for flag in answer.flags if flag.kind in _NOT_THERE)
    if unfound:
        facts = text("ask.separator", language).join(map(escaped, unfound))
        yield text("ask.unfound", language, facts=facts)


def to_values(answer: Answer) -> dict[str, Any]:
    """For programs. A place is characters [start, end) of `answer`."""
    cited = {citation.number for citation in answer.citations}
    return {
        "question": answer.question,
        "answer": answer.text,
        "abstained": bool(answer.abstention),
        "reason": str(answer.abstention) or None,
        "citations": [_citation(citation) for citation in answer.citations],
        "flags": [
            {"kind": str(flag.kind), "text": flag.text, "start": flag.start, "end": flag.end}
            for flag in answer.flags
        ],
        "passages": [_passage(passage, passage.number in cited) for passage in answer.passages],
        "num_found": answer.num_found,
        "used_vectors": answer.used_vectors,
        "notice": answer.notice,
    }


def _citation(citation: Citation) -> dict[str, Any]:
    return {
        "number": citation.number,
        "file": citation.file,
        "page": citation.page or None,
        "place": citation.place.values() if citation.place else None,
        "quote": citation.quote,
        "score": round(citation.score, 3),
        "start": citation.start,
        "end": citation.end,
        "marked": citation.is_marked,
        "document": citation.document_id,
        "span": asdict(citation.span),
    }


def _passage(passage: NumberedPassage, is_cited: bool) -> dict[str, Any]:
    return {
        "number": passage.number,
        "file": passage.file,
        "page": passage.page or None,
        "place": passage.place.values() if passage.place else None,
        "title": passage.title,
        "text": passage.text,
        "score": round(passage.score, 6),
        "relevance": passage.relevance,
        "cited": is_cited,
        "document": passage.document_id,
        "span": asdict(passage.span),
    }


def place_label(found: NumberedPassage | Citation, language: Language) -> str:
    """「3ページ」, 「シート「4月」!B12」; "" where the document is all there is to say."""
    if found.place:
        return found.place.label(language)
    return text("place.page", language, number=found.page) if found.page else ""


def _line(
    passage: NumberedPassage, found: NumberedPassage | Citation, quote: str, language: Language
) -> str:
    name = escaped(passage.file)
    # An exclamation mark begins nothing where the bracket behind it is escaped.
    label = escaped(place_label(found, language)).replace("\\!", "!")
    place = text("ask.place", language, file=name, place=label) if label else name
    words = " ".join(quote.split())
    shown = words if len(words) <= MAX_QUOTE_CHARS else words[: MAX_QUOTE_CHARS - 1] + "…"
    quoted = text("ask.quote", language, text=escaped(shown))
    return f"- [{passage.number}] {place}: {quoted}"


def _score(citation: Citation) -> float:
    return citation.score
