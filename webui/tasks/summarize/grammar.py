"""GBNF for one request: exactly N bullets, each one finished line. Knows no models.

Whatever the model's weights are, what comes out is N lines that begin with the marker, end with a
full stop and have no other line break; the length bound makes the grammar itself end. Positive
character classes only: llama.cpp refuses whole byte ranges for a negated class.
"""

from collections.abc import Sequence

from webui.strings import Language
from webui.tasks.summarize.settings import BulletLimits

# Everything printable but the ideographic full stop, line separators and invisible characters.
# U+0800 to U+0FFF are left out: llama.cpp lets their first byte be followed by an overlong form of
# another character, which can then not be finished.
_JA_CHAR = (
    r"[\u0020-\u007e\u00a1-\u07ff\u1000-\u1fff\u2010-\u2027\u2030-\u205e\u2070-\u2fff"
    r"\u3001\u3003-\ud7ff\uf900-\ufaff\uff01-\uffdc]"
)
_JA_FIRST = (
    r"[\u0022-\u0027\u0030-\u007e\u00b0-\u07ff\u1000-\u1fff"
    r"\u3005-\u301f\u3041-\ud7ff\uf900-\ufaff]"
)
_JA_OWN = r"[\u3041-\u3096\u30a1-\u30fa\u30fc\u3005\u4e00-\u9fff]"
_HIRAGANA = r"[\u3041-\u3096]"
_EN_CHAR = r"[\u0020-\u007e\u2013\u2014\u2018-\u201d%\u00a3\u20ac]"


def bullets_grammar(count: int, limits: BulletLimits, *, script_bound: bool = False) -> str:
    """`count` written bullets; `script_bound` also forces the language, letter by letter."""
    write = _bound_body if script_bound else _open_body
    lines = ' "\\n" '.join(["line"] * count)
    return "\n".join(
        (
            f"root ::= {lines}",
            f"line ::= {_literal(limits.marker)} body {_literal(limits.end)}",
            *write(limits),
        )
    )


def choice_grammar(sentences: Sequence[str], count: int, marker: str) -> str:
    """`count` of `sentences`, each at most once and in their order, one per line.

    Rule `rI-K`: K lines out of the sentences from number I on.
    """
    assert 0 < count <= len(sentences)
    rules = [f"root ::= r0-{count}"]
    for number, sentence in enumerate(sentences):
        rules.append(f"s{number} ::= {_literal(marker + sentence)}")
    for left in range(1, count + 1):
        for number in range(count - left, len(sentences) - left + 1):
            after = f' "\\n" r{number + 1}-{left - 1}' if left > 1 else ""
            is_last_chance = number == len(sentences) - left
            skip = "" if is_last_chance else f" | r{number + 1}-{left}"
            rules.append(f"r{number}-{left} ::= s{number}{after}{skip}")
    return "\n".join(rules)


def _open_body(limits: BulletLimits) -> tuple[str, ...]:
    low, high = limits.min_chars - 1, limits.max_chars - 1
    body = f"body ::= first char{{{low},{high}}}"
    if limits.language is Language.JA:
        return (body, f"first ::= {_JA_FIRST}", f"char ::= {_JA_CHAR}")
    return (body, 'first ::= [A-Z0-9"]', f"char ::= {_EN_CHAR}")


def _bound_body(limits: BulletLimits) -> tuple[str, ...]:
    """Letters of other scripts only behind as many of our own: the share holds by construction."""
    if limits.language is Language.EN:
        num_words = limits.max_chars // 12
        return (
            f'body ::= [A-Z] [a-z]{{1,11}} (","? " " word){{2,{num_words}}}',
            "word ::= [a-z]{2,10} | [A-Z] [a-z]{1,9} | [0-9]{1,4} [%]?",
        )
    num_pieces = max(4, limits.max_chars // 6)  # of up to 24 bytes each
    return (
        f"body ::= own own piece{{2,{num_pieces}}} {_HIRAGANA}",
        "piece ::= own | own mark | own number | own own own own own own word",
        "word ::= [A-Za-z] [A-Za-z0-9-]{0,5}",
        r"number ::= [0-9] [0-9.,]{0,8} [%]?",
        r"mark ::= [\u3001\u30fb\u300c\u300d\uff08\uff09]",
        f"own ::= {_JA_OWN}",
    )


def _literal(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
