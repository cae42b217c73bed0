"""Is this bullet in the language that was asked for? Counts scripts; asks no model.

Digits and signs belong to every language. Names stay Latin in Japanese text, so half of the
letters is enough; kana tell Japanese from Chinese, and so do single characters and words that
only Chinese uses.
"""

import re

from webui.strings import Language

MIN_SHARE = 0.5  # of the letters
MIN_LETTERS = 2
MAX_LETTERS_WITHOUT_KANA = 8  # a headline such as 売上高前年比増

_HIRAGANA = re.compile("[\u3041-\u3096\u309d\u309e]")
_KATAKANA = re.compile("[\u30a1-\u30fa\u30fc-\u30fe\uff66-\uff9d]")
_KANJI = re.compile("[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f\uff21-\uff3a\uff41-\uff5a]")


def is_in(language: Language, text: str) -> bool:
    """Whether `text` can be shown as `language`."""
    num_letters = sum(char.isalpha() for char in text)
    if language is Language.EN:
        num_own = len(_LATIN.findall(text))
        return num_own >= MIN_LETTERS and num_own >= MIN_SHARE * num_letters
    num_kana = len(_HIRAGANA.findall(text)) + len(_KATAKANA.findall(text))
    num_own = num_kana + len(_KANJI.findall(text))
    if num_own < MIN_LETTERS or num_own < MIN_SHARE * num_letters:
        return False
    return bool(num_kana) or num_own <= MAX_LETTERS_WITHOUT_KANA


def has_kanji(text: str) -> bool:
    return bool(_KANJI.search(text))


# Words of characters that Japanese has too. Most others give themselves away by a character.
_CHINESE = re.compile(
    "数据|信息|算法|能够|可以|我们|他们|采用|采样|抽样|通过(?![しすさせ])|以及|并且|如果|但是|因此|所以|没有"
    "|用于|基于|效率|效果|机器学习|文本|优化|随机"
)


def chinese_in(text: str, source: str) -> str:
    """What of a Japanese `text` only Chinese would write, unless the source has it; "" = nothing.

    The common kanji are those of JIS level 1; a rarer one comes from the source or is a slip.
    """
    odd = (char for char in text if _KANJI.match(char) and not _is_common(char))
    found = [*odd, *_CHINESE.findall(text)]
    return next((word for word in found if word not in source), "")


def _is_common(char: str) -> bool:
    if char in "々〇":
        return True
    try:
        return 0xB0 <= char.encode("euc_jp")[0] <= 0xCF
    except UnicodeEncodeError:
        return False


def main_language(text: str) -> Language:
    """Of a source: Japanese as soon as a tenth of its letters are kana."""
    sample = text[:20_000]
    num_kana = len(_HIRAGANA.findall(sample)) + len(_KATAKANA.findall(sample))
    num_letters = sum(char.isalpha() for char in sample)
    return Language.JA if num_kana > 0.1 * num_letters else Language.EN
