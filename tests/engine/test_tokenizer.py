"""Tokenizer: llama.cpp's ids for honest prompts, no control token for hostile ones, whole text."""

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import llama_cpp.llama_cpp as ll
import pytest
from gguf import TokenType
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.budget import examples
from tests.places import ROOT
from tests.vocabularies import byte_pairs, sentencepiece
from webui.engine.detokenizer import IncrementalDetokenizer, StopChecker
from webui.engine.specials import MAX_RUN, cuts_in_long_runs
from webui.engine.tokenizer import Tokenizer, TokenizerError
from webui.prompts import BosRule, RenderedPrompt, Span

SHARED = sorted((ROOT.parent / "shared" / "data" / "vocab").glob("*.gguf"))
CONTROL, WORD = TokenType.CONTROL, TokenType.USER_DEFINED
SPECIALS = {
    "<|im_start|>": CONTROL,
    "<|im_end|>": CONTROL,
    "<|end|>": CONTROL,
    "<|endoftext|>": CONTROL,
    "<|start|>": WORD,
    "<|channel|>": WORD,
    "<think>": WORD,
    "<h1>": WORD,
    "   ": WORD,
    "東京": WORD,
}
TEXTS = ["\n", "a", " ab", "  ", "こん", "日本語 🎉", "x\t", "\n\n", "<", "|im_", "<h1>", "東京"]


@pytest.fixture(scope="module")
def vocabularies(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tokenizer]:
    folder = tmp_path_factory.mktemp("vocabularies")
    growing = ["</s>", "<|im_end|>", "<think>", "<unk>"]
    paths = {
        "standin": standin,
        "spm": sentencepiece(folder / "spm.gguf", SPECIALS),
        "growing": sentencepiece(folder / "growing.gguf", SPECIALS, growing=growing),
        "no space": sentencepiece(folder / "nospace.gguf", SPECIALS, space_prefix=False),
        "strips": sentencepiece(folder / "strips.gguf", SPECIALS, name="Phi-3 like"),
        "bpe": byte_pairs(folder / "bpe.gguf", SPECIALS),
        "bpe bos": byte_pairs(folder / "bos.gguf", SPECIALS, bos="<|endoftext|>", add_bos=True),
    } | {path.stem: path for path in SHARED}
    return {name: Tokenizer(path) for name, path in paths.items()}


OURS = ["standin", "spm", "growing", "no space", "strips", "bpe", "bpe bos"]
NAMES = OURS + [path.stem for path in SHARED]


def of_llama_cpp(tokenizer: Tokenizer, text: str, *, add_special: bool = True) -> list[int]:
    """The reference: the whole text at once, special tokens parsed."""
    data = text.encode()
    ids = (ll.llama_token * (len(data) + 8))()
    count = ll.llama_tokenize(tokenizer._vocab, data, len(data), ids, len(ids), add_special, True)
    return list(ids[:count])


def prompt_of(parts: list[tuple[str, bool]], bos: BosRule = BosRule.VOCABULARY) -> RenderedPrompt:
    """Of (text, is message-born) parts."""
    text, spans = "", []
    for part, is_message in parts:
        if is_message and part:
            spans.append(Span(len(text), len(text) + len(part)))
        text += part
    return RenderedPrompt(text, tuple(spans), bos)


@st.composite
def honest(draw: st.DrawFn, specials: list[str]) -> RenderedPrompt:
    """Special tokens in template text only; anything else anywhere."""
    template = st.sampled_from(specials + TEXTS)
    parts = draw(st.lists(template.map(lambda t: (t, False)) | _message(), max_size=8))
    return prompt_of([(" ", False), *parts])


def _message() -> st.SearchStrategy[tuple[str, bool]]:
    words = st.sampled_from(
        ["a", " ab ", "こんにちは", "\n  x", "日本 🎉", "1 <b 2", "<h1>", "東京"]
    )
    return words.map(lambda text: (text, True))


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=examples(40))
@given(data=st.data())
def test_honest_prompts_get_llama_cpps_own_ids(
    vocabularies: dict[str, Tokenizer], name: str, data: st.DataObject
) -> None:
    tokenizer = vocabularies[name]
    specials = [token.text for token in tokenizer.specials][:40]
    prompt = data.draw(honest(specials))
    assert tokenizer.encode(prompt) == of_llama_cpp(tokenizer, prompt.text)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=examples(40))
@given(data=st.data())
def test_no_message_ever_becomes_a_control_token(
    vocabularies: dict[str, Tokenizer], name: str, data: st.DataObject
) -> None:
    tokenizer = vocabularies[name]
    specials = [token.text for token in tokenizer.specials if len(token.text) > 1]
    parts = st.sampled_from(specials) | st.sampled_from(TEXTS) | st.text(max_size=3)
    text = "".join(data.draw(st.lists(parts, max_size=8)))
    text = _spellable(tokenizer, text)
    ids = tokenizer.encode_text(text)
    assert [tokenizer.text_of([i]) for i in ids if tokenizer.is_special(i)] == []
    back = tokenizer.text_of(ids)
    # SentencePiece puts a space in front; llama.cpp another one behind every user-defined token,
    # or, for Phi-3, takes away the white space there.
    assert back == text or (tokenizer._is_spm and "".join(back.split()) == "".join(text.split()))


@cache
def _byte_pieces(tokenizer: Tokenizer) -> frozenset[bytes]:
    pieces = map(tokenizer.piece, range(tokenizer.n_vocab))
    return frozenset(piece for piece in pieces if len(piece) == 1)


def _spellable(tokenizer: Tokenizer, text: str) -> str:
    """`text` without what no ids can give back: ▁ is a space to SentencePiece, and some real
    vocabularies (StarCoder, Refact, Falcon) lack bytes."""
    known = _byte_pieces(tokenizer)
    chars = (char for char in text.encode("utf-8", "ignore").decode() if char != "▁")
    return "".join(c for c in chars if all(bytes([byte]) in known for byte in c.encode()))


@pytest.mark.parametrize("name", NAMES)
def test_a_token_half_template_half_message_is_plain_text(
    vocabularies: dict[str, Tokenizer], name: str
) -> None:
    tokenizer = vocabularies[name]
    for token in tokenizer.specials[:30]:
        if not token.is_guarded:
            continue
        for cut in range(1, len(token.text)):
            for is_message in ((True, False), (False, True)):
                parts = [(token.text[:cut], is_message[0]), (token.text[cut:], is_message[1])]
                ids = tokenizer.encode(prompt_of([("x", False), *parts, ("x", False)]))
                assert token.id not in ids[1:]


def test_the_stand_in_merges_across_the_border_as_if_it_were_one_text(
    vocabularies: dict[str, Tokenizer],
) -> None:
    tokenizer = vocabularies["spm"]
    prompt = prompt_of([("<|im_start|>こ", False), ("ん", True)])
    assert tokenizer.encode(prompt) == of_llama_cpp(tokenizer, prompt.text)
    assert "こん" in [tokenizer.text_of([i]) for i in tokenizer.encode(prompt)]


def test_an_imitation_that_is_cut_gets_no_space_inside(
    vocabularies: dict[str, Tokenizer],
) -> None:
    tokenizer = vocabularies["growing"]
    assert tokenizer.text_of(tokenizer.encode_text("a</s>b<|im_end|>")) == " a</s>b<|im_end|>"


class TestBos:
    """Exactly one, or none."""

    def ids(self, tokenizer: Tokenizer, text: str, bos: BosRule = BosRule.VOCABULARY) -> list[int]:
        return tokenizer.encode(prompt_of([(text, False), ("a", True)], bos))

    def test_added_where_the_vocabulary_wants_one(self, vocabularies: dict[str, Tokenizer]) -> None:
        for name in ("spm", "standin", "bpe bos"):
            tokenizer = vocabularies[name]
            assert self.ids(tokenizer, "x").count(tokenizer.bos_id) == 1
            assert self.ids(tokenizer, "x")[0] == tokenizer.bos_id

    def test_one_although_the_template_prints_it_too(
        self, vocabularies: dict[str, Tokenizer]
    ) -> None:
        for name in ("spm", "bpe bos"):
            tokenizer = vocabularies[name]
            alone = self.ids(tokenizer, "x")
            assert self.ids(tokenizer, tokenizer.bos_text + "x") == alone
            assert self.ids(tokenizer, tokenizer.bos_text * 2 + "x") == alone

    def test_none_where_the_vocabulary_wants_none(self, vocabularies: dict[str, Tokenizer]) -> None:
        tokenizer = vocabularies["bpe"]
        assert tokenizer.bos_id not in self.ids(tokenizer, "x")

    def test_kept_where_only_the_template_wants_it(
        self, vocabularies: dict[str, Tokenizer]
    ) -> None:
        tokenizer = vocabularies["bpe"]
        ids = self.ids(tokenizer, tokenizer.bos_text * 2 + "x")
        assert ids.count(tokenizer.bos_id) == 1

    def test_never_when_the_family_says_so(self, vocabularies: dict[str, Tokenizer]) -> None:
        tokenizer = vocabularies["spm"]
        assert tokenizer.bos_id not in self.ids(tokenizer, "<s>x", BosRule.NEVER)

    def test_a_users_bos_is_not_taken_for_the_templates(
        self, vocabularies: dict[str, Tokenizer]
    ) -> None:
        tokenizer = vocabularies["spm"]
        ids = tokenizer.encode(prompt_of([("<s>", True)]))
        assert ids.count(tokenizer.bos_id) == 1
        assert tokenizer.text_of(ids) == "<s> <s>"

    def test_later_ones_of_the_template_stay(self, vocabularies: dict[str, Tokenizer]) -> None:
        tokenizer = vocabularies["spm"]
        ids = self.ids(tokenizer, "[INST] a</s><s>[INST] ")
        assert ids.count(tokenizer.bos_id) == 2


def test_structure_that_a_vocabulary_lists_as_words_can_be_declared(tmp_path: Path) -> None:
    """Baichuan's <reserved_106>: llama.cpp alone would spell it out."""
    path = sentencepiece(tmp_path / "v.gguf", {"<reserved_106>": TokenType.NORMAL})
    tokenizer = Tokenizer(path)
    parts = [("<reserved_106>", False), ("a<reserved_106>", True)]
    plain = prompt_of(parts)
    declared = RenderedPrompt(plain.text, plain.message_spans, tokens=("<reserved_106>",))
    pieces = [tokenizer.text_of([i]) for i in tokenizer.encode(declared)]
    assert pieces.count("<reserved_106>") == 1
    assert "<reserved_106>" not in [tokenizer.text_of([i]) for i in tokenizer.encode(plain)]


@pytest.mark.parametrize("path", [p for p in SHARED if p.with_suffix(".gguf.inp").exists()])
def test_llama_cpps_own_test_texts(path: Path, vocabularies: dict[str, Tokenizer]) -> None:
    texts = (
        path.with_suffix(".gguf.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    )
    lines = path.with_suffix(".gguf.out").read_text(encoding="utf-8").splitlines()
    for text, line in zip(texts, lines, strict=False):
        assert vocabularies[path.stem].encode_text(text) == [int(i) for i in line.split()]


def test_the_shared_vocabularies_are_used_where_they_are() -> None:
    """They are no part of the project: elsewhere the tests above run on our own ones alone."""
    assert len(NAMES) == len(OURS) + len(SHARED)


class TestLongRuns:
    @pytest.mark.parametrize(
        "splitter",
        [
            "default",
            pytest.param("gpt-4o", marks=pytest.mark.thorough),
            pytest.param("tekken", marks=pytest.mark.thorough),
        ],
    )
    def test_a_megabyte_without_a_break_does_not_end_the_process(
        self, tmp_path: Path, splitter: str
    ) -> None:
        """std::regex recurses once per character: at 26,164 of them llama.cpp dies of its stack."""
        path = byte_pairs(tmp_path / "v.gguf", SPECIALS, pre=splitter)
        code = (
            "import sys; from pathlib import Path; from webui.engine.tokenizer import Tokenizer\n"
            "t = Tokenizer(Path(sys.argv[1]))\n"
            "for char in ' ', '-', 'a', 'あ', '1', '.', '\\n', 'a1':\n"
            "    text = char * 60_000; assert t.text_of(t.encode_text(text)) == text"
        )
        root = ROOT
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=root, timeout=120)

    def test_ordinary_text_is_never_cut(self) -> None:
        assert cuts_in_long_runs("これは文です。" * 10_000 + "A sentence. " * 10_000) == []
        assert cuts_in_long_runs("x" * MAX_RUN + "\n" + "-" * MAX_RUN) == []

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.sampled_from("a1-.あ \n。が゙"), st.integers(1, 3000)), max_size=5))
    def test_cuts_leave_no_long_run(self, runs: list[tuple[str, int]]) -> None:
        text = "".join(char * count for char, count in runs)
        edges = [0, *cuts_in_long_runs(text), len(text)]
        assert edges == sorted(edges)
        pieces = [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]
        assert all(cuts_in_long_runs(piece) == [] for piece in pieces)

    def test_where_words_end_anyway_is_preferred(self) -> None:
        text = "ab1" * 500
        (cut,) = cuts_in_long_runs(text)
        assert text[cut - 1 : cut + 1] in ("b1", "1a")


class TestBadFiles:
    def test_a_vocabulary_without_byte_tokens_is_refused(self, tmp_path: Path) -> None:
        """llama.cpp throws, through C, at the first character that it cannot write."""
        path = sentencepiece(tmp_path / "v.gguf", with_bytes=False)
        with pytest.raises(TokenizerError, match=r"v\.gguf"):
            Tokenizer(path)

    @pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model" * 100])
    def test_a_file_that_is_no_model_is_a_clear_error(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "broken.gguf"
        path.write_bytes(content)
        with pytest.raises(TokenizerError, match=r"broken\.gguf"):
            Tokenizer(path)

    def test_a_missing_file_is_a_clear_error(self, tmp_path: Path) -> None:
        with pytest.raises(TokenizerError, match=r"gone\.gguf"):
            Tokenizer(tmp_path / "gone.gguf")


@pytest.mark.thorough
def test_hostile_characters_do_not_crash(vocabularies: dict[str, Tokenizer]) -> None:
    for name in OURS:
        for text in ("", "\0", "a\0b", "\ud800", "\U0010ffff", "\ufeff", "\u202e", "a" * 100_000):
            ids = vocabularies[name].encode_text(text)
            assert text.replace("\ud800", "?") in vocabularies[name].text_of(ids)


def test_stop_strings_that_are_one_token_are_found(vocabularies: dict[str, Tokenizer]) -> None:
    tokenizer = vocabularies["bpe"]
    (im_end,) = tokenizer.stop_token_ids(["<|im_end|>", "USER:", ""])
    assert tokenizer.text_of([im_end]) == "<|im_end|>"
    assert tokenizer.is_special(im_end)
    assert tokenizer.is_end(im_end)
    assert tokenizer.special_id("nothing") is None


def test_control_tokens_leave_no_text_but_reasoning_marks_do(
    vocabularies: dict[str, Tokenizer], tmp_path: Path
) -> None:
    tokenizer = Tokenizer(byte_pairs(tmp_path / "v.gguf", {"[THINK]": CONTROL, "<|x|>": CONTROL}))
    ids = [tokenizer.special_id(text) for text in ("[THINK]", "<|x|>")]
    assert [tokenizer.piece(i) for i in ids if i is not None] == [b"[THINK]", b""]
    assert tokenizer.piece(-1) == tokenizer.piece(10**9) == b""


# --- ids to text, as it streams -------------------------------------------------------------------


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    """Any bytes, good and bad UTF-8 mixed, and where to cut them."""
    good = st.sampled_from(["a", "こ", "👨‍👩‍👧", "e\u0301", "ﾊﾟ", "\ufffd", "𠮷"]).map(str.encode)
    parts = draw(st.lists(good | st.binary(max_size=3), max_size=8))
    data = b"".join(parts)
    return data, sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))


@settings(deadline=None)
@given(streams())
def test_deltas_join_to_the_whole_text_for_any_split(
    vocabularies: dict[str, Tokenizer], stream: tuple[bytes, list[int]]
) -> None:
    data, cuts = stream
    tokenizer = vocabularies["bpe"]
    ids = [_byte_ids(tokenizer)[bytes([byte])] for byte in data]
    detokenizer = IncrementalDetokenizer(tokenizer.piece)
    edges = [0, *cuts, len(ids)]
    deltas = [detokenizer.feed(ids[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    text = "".join(deltas) + detokenizer.flush()
    assert text == data.decode("utf-8", "ignore")
    assert text.count("\ufffd") == data.decode("utf-8", "ignore").count("\ufffd")


@cache
def _byte_ids(tokenizer: Tokenizer) -> dict[bytes, int]:
    return {tokenizer.piece(i): i for i in range(256)}


def test_no_half_character_is_shown(vocabularies: dict[str, Tokenizer]) -> None:
    tokenizer = vocabularies["spm"]
    detokenizer = IncrementalDetokenizer(tokenizer.piece)
    ids = tokenizer.encode_text("🎉")
    assert [detokenizer.feed([i]) for i in ids][-4:] == ["", "", "", "🎉"]
    detokenizer.feed(ids[:-1])
    assert detokenizer.flush() == ""


STOPS = st.lists(st.text("ab\nS", max_size=4), max_size=4)


@settings(deadline=None)
@given(st.text("ab\nS", max_size=30), STOPS, st.lists(st.integers(0, 30), max_size=6))
def test_stops_do_not_depend_on_how_the_text_is_cut(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    whole, shown = StopChecker(stops), StopChecker(stops)
    expected = whole.feed(text) + whole.flush()
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [shown.feed(text[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    assert "".join(pieces) + shown.flush() == expected
    assert shown.stopped == whole.stopped == any(stop in text for stop in stops if stop)
    assert not any(stop in expected for stop in stops if stop)


def stream_of(checker: StopChecker, text: str) -> Iterator[str]:
    return (checker.feed(char) for char in text)


def test_a_stop_string_is_never_half_shown() -> None:
    checker = StopChecker(["</s>", "USER:"])
    assert "".join(stream_of(checker, "A </ USE")) == "A </ "
    assert "".join(stream_of(checker, "R: hidden")) == ""
    assert checker.stopped
    assert checker.flush() == ""


def test_what_was_kept_back_for_nothing_is_shown_at_the_end() -> None:
    checker = StopChecker(["", "END"])
    assert checker.feed("the EN") == "the "
    assert checker.flush() == "EN"
    assert not checker.stopped
