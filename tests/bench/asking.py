"""How well it is told that documents do not say something, and how follow-up questions find theirs.

    python -m tests.bench.asking --squad FILE [--questions N]

Abstaining: a question is asked with and without its own article in the index; refused when no
passage has enough of its words. `own` is a library of one article. Follow-ups: of two questions on
one paragraph the second gets それ for what it shares with the first; is its answer in the passages
that the model would read? Also where a question that
stands alone is joined with a stranger's. One JSON line last.
"""

import argparse
import json
import random
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from tests.bench.retrieval import OWNER, Article, Question, add, opened, read_squad, row
from webui.documents.search.retriever import Passage, Retriever
from webui.tasks.ask.followups import PastTurn, joined, leans_on_history
from webui.tasks.ask.prompting import MAX_PASSAGES
from webui.tasks.ask.searching import MAX_FOUND, MIN_RELEVANCE, QuestionWords
from webui.text.pages import Page
from webui.text.splitter import Source, chunks, split

THRESHOLDS = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4)


def index(retriever_documents: Any, where: str, articles: Sequence[Article]) -> list[str]:
    """Each article as one document; their ids."""
    ids = []
    for article in articles:
        source = Source([Page(1, article.text)])
        rows = [row(c.text, c.title, c.span.char_from) for c in chunks(split(source), source)]
        ids.append(add(retriever_documents, where, article.title, rows))
    return ids


def relevance(words: QuestionWords, passages: Sequence[Passage]) -> float:
    texts = (f"{p.document_name}\n{p.title}\n{p.text}" for p in passages)
    return max((words.share_in(text) for text in texts), default=0.0)


def abstaining(
    retriever: Retriever, questions: Sequence[Question], ids: list[str]
) -> dict[str, Any]:
    """Shares refused: of questions that have an answer, and of those that have none."""
    scores: dict[str, list[float]] = {"all": [], "all_without": [], "own": [], "one_other": []}
    for question in questions:
        words, own = QuestionWords(question.text), ids[question.article]
        others = [id for id in ids if id != own]
        among = {"all": None, "all_without": others, "own": [own],
                 "one_other": [random.choice(others)]}  # fmt: skip
        for name, chosen in among.items():
            found = retriever.search(OWNER, question.text, MAX_FOUND, chosen)
            scores[name].append(relevance(words, found.passages))
    table = {
        str(least): {
            name: round(statistics.mean(score < least for score in values), 4)
            for name, values in scores.items()
        }
        for least in THRESHOLDS
    }
    return {"auc_all": auc(scores["all"], scores["all_without"]),
            "auc_own": auc(scores["own"], scores["one_other"]),
            "threshold": MIN_RELEVANCE, "refused": table}  # fmt: skip


def auc(with_answer: Sequence[float], without: Sequence[float]) -> float:
    """How often a question with an answer scores higher than one without."""
    wins = sum((a > b) + (a == b) / 2 for a in with_answer for b in without)
    return round(wins / (len(with_answer) * len(without)), 4)


def followups(
    retriever: Retriever, questions: Sequence[Question], ids: list[str], count: int
) -> dict[str, float]:
    """Answer among the passages that are read: the whole question, with それ, joined."""
    hits: dict[str, list[bool]] = defaultdict(list)
    leaning: list[bool] = []
    pairs = [(a, b) for a, b in zip(questions, questions[1:], strict=False)
             if a.paragraph == b.paragraph and b.answer_start >= 0]  # fmt: skip
    random.shuffle(pairs)
    for first, second in pairs:
        if len(leaning) >= count:
            break
        elided = with_pronoun(first.text, second.text)
        if not elided:
            continue
        history = [PastTurn(first.text)]
        leaning.append(leans_on_history(elided, history))
        stranger = [PastTurn(random.choice(questions).text)]
        texts = {"whole": second.text, "alone": elided, "joined": joined(elided, history),
                 "joined_wrongly": joined(second.text, stranger)}  # fmt: skip
        for name, text in texts.items():
            found = retriever.search(OWNER, text, MAX_PASSAGES).passages
            hits[name].append(any(has_answer(p, second, ids) for p in found))
    shares = {name: round(statistics.mean(values), 4) for name, values in hits.items()}
    return {**shares, "pairs": len(leaning), "recognised": round(statistics.mean(leaning), 4)}


def with_pronoun(first: str, second: str) -> str:
    """The second question with それ for its longest piece in common; "" without a long one."""
    match = SequenceMatcher(None, first, second, autojunk=False).find_longest_match()
    piece = second[match.b : match.b + match.size].strip("はがのをにでと、 ")
    if len(piece) < 3 or not any("一" <= char <= "龠" or "ァ" <= char <= "ヶ" for char in piece):
        return ""
    return second.replace(piece, "それ", 1)


def has_answer(passage: Passage, question: Question, ids: list[str]) -> bool:
    return (
        passage.document_id == ids[question.article]
        and passage.span.char_from <= question.answer_start
        and question.answer_end <= passage.span.char_to
    )


def false_alarms(questions: Sequence[Question]) -> float:
    """Share of whole questions that are taken for follow-ups of another one."""
    pairs = zip(questions, questions[1:], strict=False)
    return round(statistics.mean(leans_on_history(b.text, [PastTurn(a.text)]) for a, b in pairs), 4)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--squad", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=800)
    options = parser.parse_args()
    random.seed(1)
    articles, questions = read_squad(options.squad)
    sample = random.sample(questions, min(options.questions, len(questions)))
    with tempfile.TemporaryDirectory() as folder:
        storage, where = opened(folder)
        ids = index(storage.documents, where, articles)
        retriever = Retriever(storage.documents)
        figures: dict[str, Any] = {"questions": len(sample)}
        figures["abstaining"] = abstaining(retriever, sample, ids)
        print(json.dumps(figures), flush=True)
        figures["followups"] = followups(retriever, questions, ids, options.questions // 2)
        figures["followups"]["false_alarms"] = false_alarms(sample)
        storage.close()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
