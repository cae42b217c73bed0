"""The last answer in other words: what it rests on."""

from webui.tasks.ask.result import Answer, Citation, NumberedPassage
from webui.tasks.ask.talking import reworked
from webui.text.pages import Span

WHOLE = Span(1, 0, 1, 8)
PASSAGES = tuple(
    NumberedPassage(n, id, f"{id}.txt", "", 0, WHOLE, text, 1.0, 1.0)
    for n, id, text in ((1, "a", "窓は北に開く。"), (2, "b", "扉は南に開く。"))
)


def test_of_files_of_one_length_the_one_that_was_cited_stays_the_source() -> None:
    """Both are all of their file, so the same characters of it; the last one was taken."""
    cited = Citation(0, 9, 1, "a", "a.txt", 0, WHOLE, "窓は北に開く。", 1.0, True)
    last = Answer("窓は北に開く[1]。", "窓はどちらに開きますか", PASSAGES, (cited,))
    found = reworked(Answer("To the north.", "", PASSAGES), last)
    assert found.text == "To the north.[1]"
    (citation,) = found.citations
    (passage,) = found.cited()
    assert (citation.file, passage.file) == ("a.txt", "a.txt")
