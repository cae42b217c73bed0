"""Unicode normal forms in a time that grows with the text, whatever the text is.

Python sorts each run of combining marks by insertion, inside one call that no other thread can
interrupt: 64,000 marks in a row stop a process for seconds. So a run is broken every 30 marks, as
Unicode's Stream-Safe Text Format does (UAX #15, section 13). Pure.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

MAX_MARKS = 30  # in a row; no language needs more
BREAK = "\u034f"  # the combining grapheme joiner: not seen, and nothing moves or joins across it
BECOME_MARKS = "\u0f73\u0f75\u0f81\uff9e\uff9f"  # when they are decomposed
# Wherever there may be so many marks: found fast, and then looked at closely.
_CANDIDATE = re.compile(rf"[\W{BECOME_MARKS}]{{{MAX_MARKS + 1},}}")


def normalized(text: str, form: Literal["NFC", "NFKC"] = "NFKC") -> str:
    """`text` in the normal form; where more than MAX_MARKS marks follow each other, with breaks."""
    if text.isascii():
        return text
    places = [at for run in _CANDIDATE.finditer(text) for at in _breaks(run)]
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    return BREAK.join(unicodedata.normalize(form, piece) for piece in pieces)


def _breaks(run: re.Match[str]) -> Iterator[int]:
    """Places in the text before which there are MAX_MARKS marks, and behind which one more."""
    num_marks = 0
    for at, char in enumerate(run[0], run.start()):
        if not unicodedata.combining(char) and char not in BECOME_MARKS:
            num_marks = 0
            continue
        if num_marks == MAX_MARKS:
            yield at
            num_marks = 0
        num_marks += 1
