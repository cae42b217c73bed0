"""The built-in language model: what it learns from, how it is exported, and that it answers."""

import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import llama_cpp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from tokenizers import Tokenizer

from tests.places import ROOT
from training.language_model import evaluate, lessons, train, vocabulary
from training.language_model.corpus import Corpus, CorpusError, Paragraph, Question, load
from training.language_model.export import DEFAULT_PATH, export
from training.language_model.model import Model, Shape
from webui.engine.tokenizer import Tokenizer as ModelTokenizer
from webui.models import BUILTIN_ID, Catalog
from webui.text.condense import condensed

SENTENCES = (
    "梅沢町は、人口が3,200人の山あいの町である。",
    "町の図書館は、1987年4月に開館した。",
    "蔵書は約5万冊で、郷土の資料が多い。",
    "しかし、建物が古くなったため、2031年に建て替える予定である。",
)
CORPUS = Corpus(
    (SENTENCES, ("".join(SENTENCES[:2]), "".join(SENTENCES[2:]))),
    (
        Paragraph(
            "梅沢町",
            "".join(SENTENCES),
            (Question("図書館はいつ開館しましたか。", SENTENCES[1], "1987年4月"),),
        ),
        Paragraph("海老沢市", "海老沢市は港町である。漁業が盛んだ。", ()),
    ),
)
TINY = Shape(width=64, num_layers=2, num_heads=4, num_kv_heads=2, num_hidden=96, context=128)


@pytest.fixture(scope="module")
def shipped() -> ModelTokenizer:
    return ModelTokenizer(DEFAULT_PATH)


@pytest.fixture(scope="module")
def fast() -> Tokenizer:
    return vocabulary.fast_tokenizer(vocabulary.read())


@given(
    st.text(
        alphabet=st.sampled_from("日本語のテキスト、。 ABab12\n🍣々ー〜漱") | st.characters(),
        max_size=40,
    )
)
@settings(max_examples=60, deadline=None)
def test_what_is_learned_from_is_tokenised_as_llama_cpp_will(
    shipped: ModelTokenizer, fast: Tokenizer, text: str
) -> None:
    if any("\ud800" <= char <= "\udfff" or char in "\0▁" for char in text):
        return
    assert fast.encode(text, add_special_tokens=False).ids == list(shipped.encode_text(text))


@pytest.mark.parametrize("kind", [kind for kind, _ in train.KINDS])
def test_every_kind_of_lesson_ends_with_an_answer(kind: str) -> None:
    made = lessons.Teacher(CORPUS, 3).lessons([(kind, 1.0)])
    for _ in range(10):
        lesson = next(made)
        assert lesson[-1]["role"] == "assistant" and lesson[-1]["content"].strip()
        assert [m["role"] for m in lesson if m["role"] != "system"][0] == "user"


def test_an_answer_is_the_sentence_with_the_number_of_its_passage() -> None:
    teacher = lessons.Teacher(CORPUS, 5)
    for _ in range(20):
        question, answer = teacher.question(2, is_answered=True)
        sentence, number = re.fullmatch(r"(.*)\[(\d)\]", answer["content"]).groups()  # type: ignore[union-attr]
        passage = question["content"].split(f"[{number}] ", 1)[1].split("\n\n", 1)[0]
        assert sentence in passage


def test_a_question_without_an_answer_has_no_passage_that_holds_it() -> None:
    teacher = lessons.Teacher(CORPUS, 5)
    for _ in range(20):
        question, answer = teacher.question(2, is_answered=False)
        assert answer["content"] == lessons.ABSTAIN and "1987年4月" not in question["content"]


@pytest.mark.parametrize(
    ("sentence", "limit", "bullet"),
    [
        ("しかし、町は小さい村である。", 40, "町は小さい村である"),
        ("町（旧名は梅沢村）は、山の中にある。", 14, "町は、山の中にある"),
        ("町は、春には花が咲き、夏には川で泳げる。", 16, "町は、夏には川で泳げる"),
        ("あ。", 40, None),
        ("区切りのない長い長い長い長い長い長い長い文である。", 12, None),
    ],
)
def test_a_sentence_is_condensed_by_leaving_out(
    sentence: str, limit: int, bullet: str | None
) -> None:
    assert condensed(sentence, limit) == bullet


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_pattern_stands_for_texts_without_its_signs(seed: int) -> None:
    rng = random.Random(seed)
    topic = rng.choice(lessons.topics())
    assert not set("{}[]|") & set(lessons.spoken(rng.choice(topic.say), rng))


def test_what_is_examined_is_never_taught() -> None:
    asked = {text for topic in lessons.topics() for text in topic.ask}
    made = lessons.Teacher(CORPUS, 1).lessons([("talk", 1.0)])
    for _ in range(500):
        assert not asked & {message["content"] for message in next(made)}
    assert len(asked) >= 100


def test_the_exported_model_computes_what_was_trained(tmp_path: Path) -> None:
    """Q8_0 and the order of rotary pairs: logits agree with PyTorch's."""
    torch.manual_seed(1)
    model = Model(TINY)
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.2)
    weights = {name: value.detach().numpy() for name, value in model.named_parameters()}
    save_file(weights, tmp_path / "model.safetensors")
    export(tmp_path / "model.safetensors", tmp_path / "tiny.gguf", TINY)
    ids = [1, 300, 4000, 77, 9000, 512, 640, 2048]
    wanted = model(torch.tensor([ids]))[0].detach().numpy()
    loaded = llama_cpp.Llama(str(tmp_path / "tiny.gguf"), logits_all=True, n_ctx=64, verbose=False)
    loaded.eval(ids)
    got = np.array(loaded.scores[: len(ids)])
    loaded.close()
    assert float(np.corrcoef(wanted.ravel(), got.ravel())[0, 1]) > 0.999
    assert list(wanted.argmax(-1)) == list(got.argmax(-1))


def test_foreign_weights_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    save_file({"x": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    for name in ("other", "broken"):
        with pytest.raises(ValueError, match=name):
            export(tmp_path / f"{name}.safetensors", tmp_path / "made.gguf")
    assert not list(tmp_path.glob("made*"))


def test_a_missing_or_foreign_corpus_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CorpusError, match="is missing"):
        load(tmp_path)
    (tmp_path / "jaquad-train.jsonl.xz").write_bytes(b"not xz")
    assert train.main(["--corpus", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert evaluate.main(["--corpus", str(tmp_path)]) == 2
    lines = capsys.readouterr().err.strip().split("\n")
    assert len(lines) == 2 and all("cannot be read" in line for line in lines)
    assert not list((tmp_path).glob("out/*"))


def test_the_built_in_model_is_chosen_only_when_nothing_better_is_there(
    tmp_path: Path, standin: Path
) -> None:
    catalog = Catalog(tmp_path, ROOT / "models" / "builtin")
    chosen = catalog.default()
    assert chosen.id == BUILTIN_ID and chosen.is_builtin and chosen.error is None
    assert chosen.size_bytes <= 25_000_000
    shutil.copy(standin, tmp_path / "own.gguf")
    assert catalog.default().id == "own"
    assert catalog.get(BUILTIN_ID).is_builtin


def test_the_built_in_model_greets_and_says_what_it_is(tmp_path: Path) -> None:
    command = [sys.executable, "app.py", "chat", "--model", BUILTIN_ID, "--temperature", "0"]
    command += ["--data-dir", str(tmp_path), "--models-dir", str(tmp_path)]
    for question, wanted in (("こんにちは", "こんにちは"), ("あなたは誰ですか？", "小")):
        done = subprocess.run([*command, question], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and wanted in done.stdout, done.stderr


@pytest.mark.thorough
def test_summaries_quote_with_the_built_in_model_unless_told_otherwise(tmp_path: Path) -> None:
    command = [sys.executable, "app.py", "summarize", "-", "--bullets", "2", "--format", "json"]
    command += ["--model", BUILTIN_ID, "--yes", "--data-dir", str(tmp_path)]
    text = "".join(SENTENCES)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, input=text)
    assert done.returncode == 0, done.stderr
    bullets = [bullet["text"] for bullet in json.loads(done.stdout)["bullets"]]
    assert len(bullets) == 2 and all(bullet in SENTENCES for bullet in bullets)


def test_containment_counts_what_was_taken_from_the_source() -> None:
    source = "町の図書館は、1987年4月に開館した。"
    assert evaluate.containment("図書館は、1987年4月に開館した。", source) == 1.0
    assert evaluate.containment("全く別のことが書いてある。", source) == 0.0
