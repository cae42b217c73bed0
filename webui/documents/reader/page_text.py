"""PageText: lines with their places → pages. Knows nothing about the kind that they come from."""

from webui.text.characters import repaired_text
from webui.text.pages import Page
from webui.text.places import Place, PlaceMark

MAX_LINES = 400  # on one page: what a passage has to be looked up in
MAX_CHARS = 60_000


class PageText:
    """Where a kind has no pages of its own, a long text is cut into pieces of some hundred lines.

    Pages are numbered from 1 here; whoever joins several texts numbers them anew.
    """

    def __init__(self, *, is_cut: bool = True) -> None:
        self.pages: list[Page] = []
        self.num_chars = 0
        self._is_cut = is_cut
        self._lines: list[str] = []
        self._marks: list[PlaceMark] = []
        self._length = 0

    def add(self, text: str, place: Place | None = None) -> None:
        """A paragraph or a row; line breaks in it stay. Nothing when there is no text."""
        line = repaired_text(text).strip("\n")
        if not line.strip():
            return
        if self._is_cut and (len(self._lines) >= MAX_LINES or self._length > MAX_CHARS):
            self.end_page()
        if place and (not self._marks or self._marks[-1][1] != place):
            self._marks.append((self._length, place))
        self._lines.append(line)
        self._length += len(line) + 1
        self.num_chars += len(line)

    def end_page(self) -> None:
        """What follows stands on a page of its own: the next slide or sheet."""
        if self._lines:
            text = "\n".join(self._lines)
            self.pages.append(Page(len(self.pages) + 1, text, places=tuple(self._marks)))
        self._lines, self._marks, self._length = [], [], 0

    def finished(self) -> list[Page]:
        """All pages; the last one is ended."""
        self.end_page()
        return self.pages
