"""An answer's ids become text as they come: whole characters only, and nothing of a stop string.

Knows nothing about llama.cpp, requests or reasoning.
"""

import codecs
from collections.abc import Callable, Iterable

from webui.prompts.markers import first_marker, num_held


class IncrementalDetokenizer:
    """Ids to text as they come, whole characters only.

    Joined deltas are the same for any split of the ids. Bytes that are no UTF-8 are left out;
    U+FFFD appears only where the model wrote it.
    """

    def __init__(self, piece: Callable[[int], bytes]) -> None:
        """`piece` gives the bytes of a token id."""
        self._piece = piece
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")

    def feed(self, ids: Iterable[int]) -> str:
        return self._decoder.decode(b"".join(self._piece(i) for i in ids))

    def flush(self) -> str:
        """What is left at the end: nothing, for half a character is none."""
        return self._decoder.decode(b"", final=True)


class StopChecker:
    """Cuts a stream of text at the first stop string; keeps back what might become one.

    First is the one that is complete first, which does not depend on how the text is cut.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """What may be shown now; nothing after `stopped`."""
        if self.stopped:
            return ""
        text = self._held + text
        if hit := first_marker(text, self._stops):
            self.stopped, self._held = True, ""
            return text[: hit[0]]
        shown = len(text) - num_held(text, self._stops)
        self._held = text[shown:]
        return text[:shown]

    def flush(self) -> str:
        """The text that was kept back, when the stream ended without a stop."""
        held, self._held = self._held, ""
        return held
