"""What was read from a file, part by part, as people check it. Knows nothing of where it is shown.

A part is a page, or what stands at one place of a kind without pages; a page that could not be used
is a part, too, and says why.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from webui.strings import Language, text
from webui.text.pages import Page, PageProblem
from webui.text.places import Place, PlaceKind


@dataclass(frozen=True, slots=True)
class Part:
    page: int
    place: Place
    text: str
    problem: PageProblem = PageProblem.NONE
    engine: str = ""  # of the character recognition, where that read it
    confidence: float = 0.0
    is_recognised: bool = False

    def label(self, language: Language) -> str:
        return self.place.label(language)

    def remark(self, language: Language) -> str:
        """What is wrong or uncertain, in a sentence; "" where nothing is."""
        if self.problem:
            return text(f"documents_page.page_{self.problem}", language, page=self.page)
        if self.engine:
            percent = f"{100 * self.confidence:.0f}"
            key = "documents_page.recognised_page_by"
            return text(key, language, engine=self.engine, percent=percent)
        return text("documents_page.recognised_page", language) if self.is_recognised else ""

    def values(self, language: Language) -> dict[str, Any]:
        """For programs."""
        values: dict[str, Any] = {
            "page": self.page,
            "place": self.place.values(language),
            "text": self.text,
            "problem": str(self.problem) or None,
        }
        if self.is_recognised:
            values["recognised"] = {"engine": self.engine, "confidence": self.confidence}
        return values


def parts_of(pages: Iterable[Page]) -> Iterator[Part]:
    """All pages in order, those cut at their places that have several."""
    for page in pages:
        marks = page.places or ((0, Place(PlaceKind.PAGE, number=page.number)),)
        starts = [0, *(at for at, _ in marks[1:]), len(page.text)]
        for (_, place), start, end in zip(marks, starts, starts[1:], strict=False):
            said = page.text[start:end].strip("\n")
            if said or len(marks) == 1:
                yield Part(
                    page.number,
                    place,
                    said,
                    page.problem,
                    page.engine,
                    page.confidence,
                    page.is_recognised,
                )
