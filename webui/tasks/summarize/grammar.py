"""GBNF for one request: one bullet, a finished line. Knows no models.

Whatever the model's weights are, what comes out is one line that begins with the marker, ends with
a full stop and has no line break; the length bound makes the grammar itself end. Positive
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


def bullet_grammar(limits: BulletLimits, *, script_bound: bool = False) -> str:
    """A written bullet; `script_bound` also forces the language, letter by letter."""
    write = _bound_body if script_bound else _open_body
    line = f"root ::= {_literal(limits.marker)} body {_literal(limits.end)}"
    return "\n".join((line, *write(limits)))


def choice_grammar(sentences: Sequence[str], marker: str) -> str:
    """One of `sentences`."""
    return "root ::= " + " | ".join(_literal(marker + sentence) for sentence in sentences)


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
