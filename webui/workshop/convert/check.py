"""Whether llama.cpp cuts texts exactly as the source's own tokenizer does. Needs no weights.

The only door to the `tokenizers` library.
"""

from pathlib import Path

from tokenizers import Tokenizer as Reference

from webui.engine.tokenizer import Tokenizer
from webui.workshop.convert.errors import ConvertError
from webui.workshop.convert.vocabulary import TOKENIZER

SAMPLES = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。",
    "東京都の人口は約1,400万人（2024年）、面積は2,194.07 km²です。",
    "カタカナとｶﾀｶﾅ、ＡＢＣとABC、①②③、㈱、「引用」と『本』……",
    "The quick brown fox doesn't jump over 12345 lazy dogs, does it?",
    "  二つの空白で始まり、\n改行、\n\n空行、\tタブ、 終わりに空白  ",
    "def f(x):\n    return {'a': [x ** 2, x != 3]}  # コメント\n",
    "絵文字😀👨‍👩‍👧🇯🇵、異体字葛󠄀、結合文字が、漢字𠮟る、русский, العربية, 한국어",
    "https://example.com/a?b=c&d=%E3%81%82#x  user@example.jp",
)


def check_tokens(folder: Path, gguf: Path) -> None:
    """Raises ConvertError with the first sample that is cut differently, TokenizerError."""
    ours = Tokenizer(gguf)
    reference = _reference(folder)
    for sample in SAMPLES:
        ids = ours.encode_text(sample)
        if reference is None:
            spelled = b"".join(map(ours.bytes_of, ids)).decode(errors="replace")
            is_same = spelled.strip() == sample.strip()
        else:
            is_same = ids == reference.encode(sample, add_special_tokens=False).ids
        if not is_same:
            raise ConvertError("convert.cut_differently", sample=sample.strip()[:30])


def _reference(folder: Path) -> Reference | None:
    """None for a folder that has only SentencePiece's own file."""
    path = folder / TOKENIZER
    return Reference.from_file(str(path)) if path.is_file() else None
