"""How much of a question a passage speaks of. Pure; knows no index, so scores compare everywhere.

A search always finds something. Measured (tests/bench/abstaining.py, docs/decisions/0060): the
share of the question's words in its best passage tells questions with an answer from those without
better than the index's own scores, which depend on how much is in it.
"""

import re

from webui.text.features import features

# Words that ask, or speak of the documents as a whole: no passage has to have them.
_ASKING = re.compile(
    "何|誰|どこ|いつ|いくつ|いくら|どれ|どの|どんな|どう|なぜ|なに|だれ|どちら|ですか|ますか|でしょうか"
    "|ください|下さい|教えて|この資料|資料|文書|について|内容|要約|要点|概要|まとめ|説明"
    r"|\b(?:what|who|whom|whose|where|when|why|how|which|many|much|please|tell|explain|document"
    r"|documents|summary|summarize|summarise)\b",
    re.IGNORECASE,
)


class QuestionWords:
    """What a question is about."""

    def __init__(self, question: str) -> None:
        self._features = features(_ASKING.sub(" ", question))

    @property
    def is_empty(self) -> bool:
        """It names nothing that could be searched for."""
        return not self._features

    def share_in(self, text: str) -> float:
        """0..1: how much of it `text` speaks of."""
        if not self._features:
            return 0.0
        return len(self._features & features(text)) / len(self._features)
