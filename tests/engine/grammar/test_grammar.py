"""Grammar and Matcher: each construct, pieces, the forced text, hostile input."""

import pytest

from tests.patience import ends
from webui.engine.grammar.gbnf import MAX_CHARS
from webui.engine.grammar.mask import PieceTable
from webui.engine.grammar.matcher import Grammar, GrammarError, Matcher


def _matches(grammar: str, text: str) -> bool:
    """Whether `text`, fed character by character, is a whole sentence of `grammar`."""
    matcher = Matcher(Grammar.parse(grammar))
    for char in text:
        if not matcher.allows(char.encode()):
            return False
        matcher.accept(char.encode())
    return matcher.can_end


# --- the language --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grammar", "sentences", "others"),
    [
        ('root ::= "猫" "です"', ["猫です"], ["", "猫", "犬です", "猫です。"]),
        ('root ::= "a" | "bc" |', ["", "a", "bc"], ["b", "ab"]),
        ("root ::= [あ-んー]", ["あ", "ん", "ー"], ["ア", "a"]),
        ("root ::= [a-cx-]", ["a", "c", "x", "-"], ["d", "]"]),
        (r"root ::= [\]\-\[\\]", ["]", "-", "[", "\\"], ["a", "/"]),
        ("root ::= [^a-c\\n]", ["d", "猫"], ["a", "c", "\n"]),
        ("root ::= [z-a] | [b]", ["b"], ["a", "z"]),
        ("root ::= []", [""], ["]", "a"]),
        ("root ::= .", ["a", "\n", "😀"], ["", "ab"]),
        ('root ::= "a"*', ["", "a", "aaaa"], ["b", "ab"]),
        ('root ::= "ab"+', ["ab", "abab"], ["", "a", "aba"]),
        ('root ::= "a"? "b"', ["b", "ab"], ["aab", "a"]),
        ('root ::= "a"{2}', ["aa"], ["a", "aaa"]),
        ('root ::= "a"{1,3}', ["a", "aa", "aaa"], ["", "aaaa"]),
        ('root ::= "a"{2,}', ["aa", "aaaaa"], ["a"]),
        ('root ::= "a"{0} "b"', ["b"], ["ab"]),
        ('root ::= "a"{ 1 , 2 }', ["a", "aa"], ["", "aaa"]),
        ('root ::= "ab"{2}* "c"', ["c", "ababc", "ababababc"], ["abc"]),
        ('root ::= ("a" | "b" "c"){2}', ["aa", "abc", "bcbc"], ["a", "ab"]),
        ('root ::= ( # a comment\n "a" |\n\n "b"\n)\n', ["a", "b"], ["ab"]),
        ('root ::=\n "a" # x\n# y | "c"\nb ::= "b"\r\n', ["a"], ["b", "c"]),
        (
            'root ::= item ("、" item)*\nitem ::= "犬" | "猫"',
            ["犬", "猫、犬、猫"],
            ["犬、", "犬猫"],
        ),
        ('root ::= "(" root ")" | "x"', ["x", "((x))"], ["(x", "()"]),
        (r'root ::= "\n\t\r\"\\\x41\u3042\U0001F600"', ['\n\t\r"\\Aあ😀'], ["n", ""]),
        ('root ::= x\nx ::= "old"\nx ::= "new"', ["new"], ["old"]),
        ('2-A ::= "a"\nroot ::= 2-A', ["a"], ["2"]),
    ],
)
def test_a_grammar_accepts_its_sentences_only(
    grammar: str, sentences: list[str], others: list[str]
) -> None:
    assert all(_matches(grammar, text) for text in sentences)
    assert not any(_matches(grammar, text) for text in others)


@pytest.mark.parametrize(
    ("grammar", "complaint"),
    [
        ("", "no rule 'root'"),
        ('other ::= "a"', "no rule 'root'"),
        ("root ::= 猫", "line 1: expecting the end of the line"),
        ('\n\nroot = "a"', "line 3: expecting '::='"),
        ('root ::= "a"\n| "b"', "line 2: expecting a rule name"),
        ("root ::= missing", "'missing' is used but not defined"),
        ('root ::= "a', "line 1: unexpected end"),
        ("root ::= [a", "line 1: unexpected end"),
        ("root ::= [a-", "line 1: unexpected end"),
        ('root ::= ("a"', r"line 1: expecting '\)'"),
        ('root ::= "a")', "line 1: expecting the end"),
        (r'root ::= "\q"', "line 1: unknown escape"),
        ('root ::= "\\', "line 1: unknown escape"),
        (r'root ::= "\u30"', "4 hexadecimal digits"),
        ("root ::= *", "nothing stands before"),
        ('root ::= ""*', "nothing stands before"),
        ('root ::= "a" | +', "nothing stands before"),
        ('root ::= "a"{', "expecting a number"),
        ('root ::= "a"{,2}', "expecting a number"),
        ('root ::= "a"{2', "expecting '}'"),
        ('root ::= "a"{3,1}', "repeats less"),
        ('root ::= "a"{2001}', "more than 2000 repetitions"),
        ('root ::= ("a"{50}){50}', None),
        ('root ::= ("a"{0,50}){50}', "more than 2000 repetitions inside"),
        ('root ::= "a"{99999999999999999999999}', "too large"),
        ("root ::= <[12]>", "token elements"),
        ("root ::= !<think>", "token elements"),
        ("root ::= root", "left recursion: the rule 'root'"),
        ('root ::= a "x"\na ::= b | "y"\nb ::= ("z")? root', "left recursion"),
        ('root ::= "a" | "\0"', "NUL"),
        ('root ::= "\ud800"', "surrogate"),
    ],
)
def test_a_wrong_grammar_says_where_and_why(grammar: str, complaint: str | None) -> None:
    if complaint is None:
        Grammar.parse(grammar)
        return
    with pytest.raises(GrammarError, match=complaint):
        Grammar.parse(grammar)


def test_left_recursion_hidden_behind_an_empty_rule_is_found() -> None:
    """llama.cpp sees only rules that are empty themselves, and grows this one without end."""
    with pytest.raises(GrammarError, match="left recursion"):
        Grammar.parse('root ::= a root "x" | "y"\na ::= b\nb ::= | "z"')


# --- pieces --------------------------------------------------------------------------------------


def test_pieces_may_end_inside_a_character() -> None:
    matcher = Matcher(Grammar.parse('root ::= [あ-ん] "猫" | [あ-ん] "犬" | "é"'))
    assert matcher.allows(b"\xe3") and matcher.allows(b"\xe3\x81") and matcher.allows(b"\xc3")
    assert not matcher.allows(b"\xe4") and not matcher.allows(b"\xe3\x84")
    assert not matcher.allows(b"\x81") and not matcher.allows(b"\xff")
    matcher.accept(b"\xe3\x81")
    assert not matcher.allows(b"a") and not matcher.allows("あ".encode())
    assert matcher.forced() == "" and not matcher.can_end
    matcher.accept(b"\x82" + "猫".encode()[:2])
    assert matcher.allows("猫".encode()[2:]) and not matcher.allows("犬".encode()[2:])
    matcher.accept("猫".encode()[2:])
    assert matcher.must_end


def test_a_negated_class_refuses_first_bytes_as_llama_cpp_does() -> None:
    matcher = Matcher(Grammar.parse("root ::= [^あ]"))
    assert matcher.allows("い".encode()) and not matcher.allows(b"\xe3") and matcher.allows(b"\xe4")


def test_the_empty_piece_and_nul_are_never_allowed() -> None:
    matcher = Matcher(Grammar.parse(r"root ::= .* [\x00]"))
    assert not matcher.allows(b"") and not matcher.allows(b"\0") and not matcher.allows(b"\0a")
    with pytest.raises(GrammarError, match="does not allow"):
        matcher.accept(b"\0")


def test_an_overlong_nul_is_refused() -> None:
    """llama.cpp's mask allows 0x80 0x80 after 0xE0 whatever the grammar; accepting it aborts."""
    matcher = Matcher(Grammar.parse("root ::= [ࠀ-퟿]"))
    matcher.accept(b"\xe0")
    assert matcher.allows(b"\xa0\x80") and not matcher.allows(b"\x80\x80")


def test_a_refused_piece_leaves_the_matcher_where_it_was() -> None:
    matcher = Matcher(Grammar.parse('root ::= "abc"'))
    matcher.accept(b"a")
    with pytest.raises(GrammarError, match="does not allow b'bd'"):
        matcher.accept(b"bd")
    assert matcher.forced() == "bc"


def test_copies_go_their_own_ways() -> None:
    matcher = Matcher(Grammar.parse('root ::= "ab" | "cd"'))
    other = matcher.copy()
    matcher.accept(b"a")
    other.accept(b"c")
    assert (matcher.forced(), other.forced(), other.copy().forced()) == ("b", "d", "d")


def test_forgotten_states_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webui.engine.grammar.matcher.MAX_CACHE_SIZE", 5)
    assert _matches('root ::= ("(" root ")")* "x"', "((x)(x)x)(x)x")
    assert not _matches('root ::= ("(" root ")")* "x"', "((x)(x)x)(x)")


# --- the end, and what is forced -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("grammar", "before", "forced", "can_end", "must_end"),
    [
        ('root ::= "・" [ab] "。"', "", "・", False, False),
        ('root ::= "・" [ab] "。"', "・a", "。", False, False),
        ('root ::= "・" [ab] "。"', "・a。", "", True, True),
        ('root ::= "a" "b"*', "a", "", True, False),
        ('root ::= "東京都" | "東京駅"', "", "東京", False, False),
        ('root ::= "東京都" | "東京駅"', "東京都", "", True, True),
        ('root ::= ("x" | "x") "yz" | [x] "yw"', "", "xy", False, False),
        ('root ::= "a" ("b" "c"?)', "", "ab", False, False),
        ("root ::= [あ-あ][^a]", "", "あ", False, False),
        (r'root ::= "a\uD800b"', "", "a", False, False),
        (r'root ::= "a\UFFFFFFFF"', "", "a", False, False),
        (r'root ::= "a" [\x00b-a]', "a", "", False, False),
        (r'root ::= "a" | "a" [\x00]', "a", "", True, True),
        ('root ::= "a" root', "", "aaaaaaaa", False, False),
    ],
)
def test_forced_text_and_end(
    grammar: str, before: str, forced: str, can_end: bool, must_end: bool
) -> None:
    matcher = Matcher(Grammar.parse(grammar))
    if before:
        matcher.accept(before.encode())
    assert matcher.forced(max_chars=8) == forced
    assert (matcher.can_end, matcher.must_end) == (can_end, must_end)
    assert matcher.forced(max_chars=8) == forced  # looking does not advance


# --- hostile grammars ----------------------------------------------------------------------------

_DOUBLING = "\n".join(f'r{i} ::= r{i + 1} "a" | r{i + 1} "b"' for i in range(60)) + '\nr60 ::= "x"'
HOSTILE = {
    "nested groups": "root ::= " + "(" * 90_000 + '"a"' + ")" * 90_000,
    "nested repetitions": "root ::= " + "(" * 40 + '"a"' + "{2}){2}" * 40,
    "repetition of a repetition": 'root ::= "a"' + "{2}" * 60_000,
    "repeated long literal": f'root ::= "{"a" * 190_000}"{{2000}}',
    "long literal repeated once, often": f'root ::= "{"a" * 90_000}"' + "{1}" * 30_000,
    "many repetitions": "root ::= " + '"a"{0,2000} ' * 15_000,
    "many nullable repetitions": 'root ::= ("a"?){0,2000}' + ' ("b"?){0,2000}' * 60,
    "left recursion through 10,000 rules": (
        "\n".join(f"r{i} ::= r{i + 1}" for i in range(10_000)) + "\nr10000 ::= r0\nroot ::= r0"
    ),
    "chain of 10,000 rules": (
        "\n".join(f"r{i} ::= r{i + 1}" for i in range(10_000)) + '\nr10000 ::= "x"\nroot ::= r0'
    ),
    "2^60 stacks at the start": "root ::= r0\n" + _DOUBLING,
    "2^60 stacks later": 'root ::= "go" r0\n' + _DOUBLING,
    "unclosed quote": 'root ::= "' + "a" * 199_000,
    "unclosed class": "root ::= [" + "a" * 199_000,
    "unclosed quotes": 'root ::= "a\n' * 15_000,
    "comments": "#\n" * 99_000 + 'root ::= "a"',
    "many alternatives": "root ::= " + "|".join(f'"{i}"' for i in range(20_000)),
    "empty alternatives": "root ::= " + "|" * 199_000,
    "many rules": "\n".join(f'r{i}::="{i}"' for i in range(10_000)) + "\nroot ::= r1",
    "huge class, many stacks": (
        "root ::= " + "|".join(f'c "{i}"' for i in range(9_000)) + f"\nc ::= [{'あ' * 90_000}]"
    ),
    "right recursion that doubles": 'root ::= "a" root "b" | "a" root "c" | "a"',
    "too long": '"' * (MAX_CHARS + 1),
    "control characters": "\x01\x02\x7f" * 60_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_grammar_is_read_or_refused_and_keeps_nobody_waiting(name: str) -> None:
    try:
        with ends():
            matcher = Matcher(Grammar.parse(HOSTILE[name]))
            for _ in range(30):
                for piece in (b"a", b"aaaaaaaa", "あ".encode()):
                    if matcher.allows(piece):
                        matcher.accept(piece)
                        break
            matcher.forced()
    except GrammarError as error:
        assert len(str(error)) < 200


def _web(depth: int, width: int) -> str:
    """`width` rules at each depth, each of which goes on with any of the next depth."""
    lines = ["root ::= a0"]
    for i in range(depth):
        lines.append(f"a{i} ::= {' | '.join(f'r{i}-{j}' for j in range(width))}")
        lines += [f"r{i}-{j} ::= [^!] a{i + 1}" for j in range(width)]
    return "\n".join([*lines, f'a{depth} ::= "!"'])


def test_a_long_piece_costs_no_more_work_than_it_has_characters() -> None:
    """llama.cpp's own mask takes 2^40 steps for this piece."""
    table = PieceTable([b"a" * 40, b"a", b"!"])
    matcher = Matcher(Grammar.parse(_web(depth=40, width=2)))
    before = matcher.grammar.work_left
    assert table.allowed(matcher).tolist() == [True, True, False]
    assert before - matcher.grammar.work_left < 2000


def test_a_grammar_that_needs_too_much_work_gives_up() -> None:
    matcher = Matcher(Grammar.parse(_web(depth=15, width=400)))
    matcher.grammar.spend(3_000_000)  # as the text before this place may have
    with pytest.raises(GrammarError, match="too ambiguous"):
        for _ in range(15):
            matcher.accept(b"a")


def test_verbatim_grammar_of_300_long_sentences_takes_little_work() -> None:
    sentences = [f"第{i}文、" + "日本語の文章がここに続きます" * 4 for i in range(300)]
    grammar = "root ::= line{1,10}\nline ::= " + " | ".join(f'"・{s}\\n"' for s in sentences)
    matcher = Matcher(Grammar.parse(grammar))
    before = matcher.grammar.work_left
    assert matcher.forced() == "・第"
    for sentence in (sentences[299], sentences[123]):
        text = f"・{sentence}\n"
        matcher.accept(text[:5].encode())
        assert matcher.forced().startswith(text[5:])
        matcher.accept(text[5:].encode())
    assert before - matcher.grammar.work_left < 10_000
    assert matcher.can_end and not matcher.must_end
