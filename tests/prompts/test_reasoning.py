"""Reasoning is told from the answer however the stream is cut, and stays out of history."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.prompts import Reasoning, ReasoningKind, RenderedPrompt, Span, builtin_families

THINK = Reasoning(ReasoningKind.TAGS)
GEMMA = builtin_families()["gemma4"].format.reasoning
MISTRAL = builtin_families()["ministral3"].format.reasoning
HARMONY = Reasoning(ReasoningKind.CHANNELS)
NONE = Reasoning()
ASKED = RenderedPrompt("<|start|>user<|message|>U<|end|><|start|>assistant", (Span(23, 24),))


def parse(
    reasoning: Reasoning, output: str, prompt: RenderedPrompt | None = None, step: int = 0
) -> tuple[str, str]:
    """(answer, reasoning) of `output`, fed in pieces of `step` characters; 0 = at once."""
    parser = reasoning.parser(prompt)
    pieces = [output[i : i + step] for i in range(0, len(output), step)] if step else [output]
    pairs = [parser.feed(piece) for piece in pieces] + [parser.flush()]
    return "".join(answer for answer, _ in pairs), "".join(thought for _, thought in pairs)


def prompt_with(tail: str) -> RenderedPrompt:
    return RenderedPrompt("<u>x</u>" + tail, (Span(3, 4),))


CASES = [
    (THINK, None, "<think>hm</think>\n\nA", ("A", "hm")),
    (THINK, None, "\n<think>\nhm\n</think>A</think>", ("A</think>", "\nhm\n")),
    (THINK, None, "A", ("A", "")),
    (THINK, None, "A <think>b</think>", ("A <think>b</think>", "")),
    (THINK, None, "<thin", ("<thin", "")),
    (THINK, None, "<think>never closed", ("", "never closed")),
    (THINK, None, "<think>a</think><think>b</think>C", ("C", "ab")),
    (THINK, None, "  A\n ", ("A\n ", "")),
    (THINK, prompt_with("<think>\n"), "hm</think>\n\nA", ("A", "hm")),
    (THINK, prompt_with("<think>\n"), "<think>hm</think>A", ("A", "hm")),
    (THINK, prompt_with("<think>\n\n</think>\n\n"), "A", ("A", "")),
    (THINK, RenderedPrompt("<think>", (Span(0, 7),)), "A", ("A", "")),  # a user wrote it
    (MISTRAL, None, "[THINK]hm[/THINK]A", ("A", "hm")),
    (GEMMA, None, "<|channel>thought\nhm<channel|>A", ("A", "hm")),
    (GEMMA, None, "A<|channel>thought\nhm<channel|>B", ("AB", "hm")),
    (GEMMA, prompt_with("<|channel>thought\n<channel|>"), "A", ("A", "")),
    (
        HARMONY,
        ASKED,
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>A",
        ("A", "hm"),
    ),
    (HARMONY, ASKED, "<|channel|>final<|message|>A<|return|>", ("A", "")),
    (HARMONY, ASKED, "<|channel|>commentary to=x<|message|>hm<|call|>", ("", "hm")),
    (HARMONY, ASKED, "<|message|>A", ("A", "")),
    (HARMONY, ASKED, "a plain answer", ("a plain answer", "")),
    (
        HARMONY,
        prompt_with("<|start|>assistant<|channel|>final<|message|>"),
        "A <|x|>",
        ("A <|x|>", ""),
    ),
    (HARMONY, prompt_with("<|start|>assistant<|channel|>analysis<|message|>"), "hm", ("", "hm")),
    (HARMONY, None, "A", ("A", "")),
    (NONE, None, "<think>a</think>B", ("<think>a</think>B", "")),
]


@pytest.mark.parametrize("step", [0, 1, 2, 3, 7])
@pytest.mark.parametrize(("reasoning", "prompt", "output", "expected"), CASES)
def test_answer_and_reasoning_are_told_apart(
    reasoning: Reasoning,
    prompt: RenderedPrompt | None,
    output: str,
    expected: tuple[str, str],
    step: int,
) -> None:
    assert parse(reasoning, output, prompt, step) == expected


MARKS = ["<think>", "</think>", "<|channel|>", "<|message|>", "<|start|>", "<|end|>", "final"]
OUTPUTS = st.lists(
    st.sampled_from([*MARKS, "<|channel>thought\n", "<channel|>", "<", "|", "analysis"])
    | st.text("ab \n<", max_size=3),
    max_size=8,
).map("".join)


@settings(deadline=None)
@given(OUTPUTS, st.sampled_from([THINK, GEMMA, HARMONY, NONE]), st.lists(st.integers(0, 60)))
def test_the_cut_of_the_stream_does_not_matter(
    output: str, reasoning: Reasoning, cuts: list[int]
) -> None:
    parser = reasoning.parser()
    edges = [0, *sorted(cut for cut in cuts if cut < len(output)), len(output)]
    pairs = [parser.feed(output[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    pairs.append(parser.flush())
    whole = parse(reasoning, output)
    assert ("".join(p[0] for p in pairs), "".join(p[1] for p in pairs)) == whole


@settings(deadline=None)
@given(OUTPUTS)
def test_no_mark_is_half_shown(output: str) -> None:
    parser = THINK.parser()
    shown = ""
    for char in output:
        answer, _ = parser.feed(char)
        shown += answer
        assert not shown.lstrip().startswith("<think>")


@pytest.mark.parametrize(
    ("reasoning", "content", "expected"),
    [
        (THINK, "<think>x</think>\nA", "A"),
        (THINK, "A</think>B", "A</think>B"),
        (THINK, "about <think>", "about <think>"),
        (THINK, "<think>x", ""),
        (HARMONY, "<|channel|>analysis<|message|>x<|end|><|channel|>final<|message|>A", "A"),
        (HARMONY, "A <|channel|>", "A <|channel|>"),
        (NONE, "<think>x</think>A", "<think>x</think>A"),
    ],
)
def test_history_holds_no_old_reasoning(reasoning: Reasoning, content: str, expected: str) -> None:
    assert reasoning.without(content) == expected
