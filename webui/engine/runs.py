"""Long runs: where a text must be cut so that llama.cpp's tokenizers survive it.

Many BPE vocabularies split words with std::regex, which recurses once per character of a match:
26,000 characters in a row without a break (a line of dashes, base64, spaces) end the process on a
stack of 8 MiB, 1,600 on macOS's threads of 512 KiB (measured, llama.cpp 0c1e570). Knows nothing
about tokens.
"""

import re
import unicodedata

MAX_RUN = 1000  # no word, and hardly any paragraph, is longer than this between two breaks
BREAKS = ".,!?…。，、"  # beside white space, what every one of those expressions stops at
LONG_RUN = re.compile(
    rf"[^\s{BREAKS}]{{{MAX_RUN + 1},}}|\s{{{MAX_RUN + 1},}}|[{BREAKS}]{{{MAX_RUN + 1},}}"
)
# Values of tokenizer.ggml.pre whose words llama.cpp splits by hand: 300,000 characters pass.
UNLIMITED = frozenset(
    "a.x-4.0 chameleon chatglm-bpe codeshell command-r dbrx exaone gemma4 gpt-2 granite-docling"
    " hunyuan jais kimi-k2 lfm2 llama-bpe megrez minerva-7b modern-bert mpt olmo qwen2 qwen35"
    " refact roberta-bpe smaug-bpe smollm solar-open stablelm2 starcoder trillion".split()
)


def cuts_in_long_runs(text: str) -> list[int]:
    """Positions that leave no run longer than MAX_RUN; where its kind of character changes, if it
    does, because there the words end anyway. [] for nearly every text."""
    cuts = []
    for run in LONG_RUN.finditer(text):
        start = run.start()
        while run.end() - start > MAX_RUN:
            start = _last_change(text, start, start + MAX_RUN)
            cuts.append(start)
    return cuts


def _last_change(text: str, start: int, limit: int) -> int:
    """The last place in (start, limit] between characters of two kinds; `limit` without any."""
    for at in range(limit, start, -1):
        if _kind(text[at - 1]) != _kind(text[at]):
            return at
    return limit


def _kind(char: str) -> str:
    category = unicodedata.category(char)[0]
    return "L" if category == "M" else category  # a mark belongs to its letter
