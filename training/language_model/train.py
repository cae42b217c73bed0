"""Trains the built-in language model on lessons made from the corpus.

    python -m training.language_model.train --corpus DIR --out DIR [--steps N] [--resume]
    python -m training.language_model.train --corpus DIR --out DIR --talk WEIGHTS --steps 200

Writes `model.safetensors` (half precision), `losses.csv` and a checkpoint to go on from; each
appears under its name only when it is whole. Fixed seeds. Uses a GPU where there is one.
"""

import argparse
import csv
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from training.language_model import vocabulary
from training.language_model.corpus import Corpus, CorpusError, load
from training.language_model.lessons import Messages, Teacher
from training.language_model.model import Model, Shape
from training.language_model.muon import Muon

KINDS = (
    ("summary", 20),
    ("quotation", 9),
    ("merging", 7),
    ("free_summary", 10),
    ("answer", 32),
    ("reading", 8),
    ("lookup", 8),
    ("keywords", 8),
    ("talk", 50),
    ("copying", 8),
)
TALK_KINDS = (  # a short second course, once reading is learned
    ("talk", 80),
    ("free_summary", 2),
    ("summary", 2),
    ("quotation", 1),
    ("merging", 1),
    ("reading", 2),
)
TALK_RATE = 0.1  # of the first course's rates
TALK_SHARE = (
    0.5  # of the second course's weights in the end; all of them forget how to count bullets
)
FIRST_KINDS = (("copying", 30), ("keywords", 15), ("lookup", 15), ("quotation", 10), ("talk", 10))
PROSE_SHARE = 0.05  # of the rows that begin with prose
FIRST_PROSE_SHARE = 0.3
PROSE_WEIGHT = 0.1
FIRST_STEPS = 0.08  # of all steps: reading and copying come before choosing
PROMPT_WEIGHT = 0.02  # of a prompt's token in the loss; more, and the texts are learned by heart
MATRIX_RATE, OTHER_RATE = 0.012, 0.003
WARM_UP_STEPS = 60
HOLD = 0.3  # share of the steps before the rate falls
EXAMINE_EVERY = 300
SAVE_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    corpus: Path
    out: Path
    minutes: float
    steps: int
    rows: int
    length: int
    workers: int
    seed: int
    resume: bool
    talk: Path | None


def main(arguments: Sequence[str] | None = None) -> int:
    plan = parsed(arguments)
    try:
        learn_from, examine_with = load(plan.corpus)
        plan.out.mkdir(parents=True, exist_ok=True)
        train(plan, learn_from, examine_with)
    except (CorpusError, OSError, torch.OutOfMemoryError) as error:
        print(f"train: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    return 0


def parsed(arguments: Sequence[str] | None) -> Plan:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after this long")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rows", type=int, default=32, help="rows of one step")
    parser.add_argument("--length", type=int, default=Shape().context, help="tokens of a row")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument(
        "--talk", type=Path, help="weights to teach small talk to, as a second course"
    )
    return Plan(**vars(parser.parse_args(arguments)))


# --- data ----------------------------------------------------------------------------------------


class Rows(IterableDataset[tuple[Tensor, Tensor]]):
    """Rows of token ids (length + 1) and their weights in the loss; a share of all by worker."""

    def __init__(self, corpus: Corpus, plan: Plan, step: int) -> None:
        self._corpus, self._plan, self._step = corpus, plan, step

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        plan, info = self._plan, get_worker_info()
        index, num_workers = (info.id, info.num_workers) if info else (0, 1)
        writer = RowWriter(self._corpus, plan.length, (plan.seed + self._step) * 1000 + index)
        while plan.talk:
            yield writer.row(TALK_KINDS, 0.0, num_tries=12)
        num_first = max(0, round(FIRST_STEPS * plan.steps) - self._step) * plan.rows
        for _ in range(num_first // num_workers):
            yield writer.row(FIRST_KINDS, FIRST_PROSE_SHARE)
        while True:
            yield writer.row(KINDS, PROSE_SHARE)


class RowWriter:
    def __init__(self, corpus: Corpus, length: int, seed: int) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        pieces = vocabulary.read()
        self._tokenizer = vocabulary.fast_tokenizer(pieces)
        self._ids = {piece: index for index, piece in enumerate(pieces)}
        self._teacher = Teacher(corpus, seed)
        self._random = random.Random(seed + 1)
        self._size = length + 1
        self._lessons: dict[Any, Iterator[Messages]] = {}

    def row(
        self, kinds: Sequence[tuple[str, float]], prose_share: float, num_tries: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Whole lessons, and prose where the next one has no room, nor the `num_tries` after it."""
        ids: list[int] = []
        weights: list[float] = []
        lessons = self._lessons.setdefault(tuple(kinds), self._teacher.lessons(kinds))
        wants_prose = self._random.random() < prose_share
        while len(ids) < self._size:
            more, its = self._prose()
            for _ in range(0 if wants_prose else num_tries):
                lesson = self.encoded(next(lessons))
                if len(ids) + len(lesson[0]) <= self._size:
                    more, its = lesson
                    break
            ids += more
            weights += its
        kept = slice(0, self._size)
        return torch.tensor(ids[kept], dtype=torch.int32), torch.tensor(weights[kept])

    def encoded(self, lesson: Messages) -> tuple[list[int], list[float]]:
        """As the app renders ChatML: roles and signs from the template, the rest plain text."""
        start, end, bos = (
            self._ids[p] for p in (vocabulary.IM_START, vocabulary.IM_END, vocabulary.BOS)
        )
        ids, weights = [bos], [0.0]
        for message in lesson:
            is_answer = message["role"] == "assistant"
            head = [start, *self._plain(message["role"] + "\n")]
            body = [*self._plain(message["content"]), end]
            tail = self._plain("\n")
            ids += head + body + tail
            weight = 1.0 if is_answer else PROMPT_WEIGHT
            weights += [0.0] * len(head) + [weight] * (len(body) - 1) + [float(is_answer)]
            weights += [0.0] * len(tail)
        return ids, weights

    def _prose(self) -> tuple[list[int], list[float]]:
        ids = [
            self._ids[vocabulary.BOS],
            *self._plain(self._teacher.prose()),
            self._ids[vocabulary.EOS],
        ]
        return ids, [0.0] + [PROSE_WEIGHT] * (len(ids) - 1)

    def _plain(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


# --- training ------------------------------------------------------------------------------------


def train(plan: Plan, learn_from: Corpus, examine_with: Corpus) -> None:
    torch.manual_seed(plan.seed)
    torch.set_float32_matmul_precision("high")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Model(Shape()).to(device)
    optimizers = (_matrices(model), _others(model, device))
    state = _resumed(plan, model, optimizers) if plan.resume else {"step": 0}
    if plan.talk:
        model.load_state_dict(_half_to_full(load_file(plan.talk)))
    rows = Rows(learn_from, plan, state["step"])
    loader = DataLoader(
        rows,
        batch_size=plan.rows,
        num_workers=plan.workers,
        pin_memory=device.type == "cuda",
        prefetch_factor=4 if plan.workers else None,
    )
    exam = _examination(examine_with, plan.length, device)
    learn = torch.compile(_loss) if device.type == "cuda" else _loss
    started = saved = time.monotonic()
    step = state["step"]
    with (plan.out / "losses.csv").open("a", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        for batch in loader:
            progress = _progress(plan, step, time.monotonic() - started)
            is_last = progress >= 1
            if step % EXAMINE_EVERY == 0 or is_last:
                losses = _examined(model, exam)
                text = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
                print(f"step {step} {time.monotonic() - started:.0f} s: {text}", flush=True)
                table.writerow([step, *(f"{value:.4f}" for value in losses.values())])
            if is_last:
                break
            rate = _rate(plan, step, progress)
            ids, weights = (part.to(device, non_blocking=True) for part in batch)
            loss = learn(model, ids, weights)
            loss.backward()  # type: ignore[no-untyped-call]
            _update(optimizers, rate)
            if step % 50 == 0:
                speed = step * plan.rows * plan.length / (time.monotonic() - started) / 1e3
                print(f"step {step} loss {loss.item():.3f} {speed:.0f} k tokens/s", flush=True)
            step += 1
            if time.monotonic() - saved > SAVE_EVERY_S:
                _save_checkpoint(plan, model, optimizers, step)
                saved = time.monotonic()
    num_tokens = step * plan.rows * plan.length
    print(f"{step} steps, {num_tokens / 1e6:.0f} M tokens, {time.monotonic() - started:.0f} s")
    if plan.talk:
        _mix(model, load_file(plan.talk))
    _save_model(plan.out / "model.safetensors", model)


def _update(optimizers: Sequence[Any], rate: float) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["first_lr"] * rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def _loss(model: Model, ids: Tensor, weights: Tensor) -> Tensor:
    ids = ids.long()
    with torch.autocast(ids.device.type, torch.bfloat16, enabled=ids.is_cuda):
        logits = model(ids[:, :-1])
    losses = functional.cross_entropy(
        logits.flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none"
    )
    wanted = weights[:, 1:].flatten()
    return (losses * wanted).sum() / wanted.sum()


@torch.no_grad()
def _examined(model: Model, exam: dict[str, tuple[Tensor, Tensor]]) -> dict[str, float]:
    return {name: _loss(model, *item).item() for name, item in exam.items()}


def _progress(plan: Plan, step: int, elapsed_s: float) -> float:
    by_time = elapsed_s / (60 * plan.minutes) if plan.minutes else 0.0
    return max(step / plan.steps, by_time)


def _rate(plan: Plan, step: int, progress: float) -> float:
    warm_up = min(WARM_UP_STEPS, plan.steps / 10)
    falling = 1.0 if progress < HOLD else (1 - progress) / (1 - HOLD)
    return min(1.0, (step + 1) / warm_up) * falling * (TALK_RATE if plan.talk else 1.0)


def _matrices(model: Model) -> Muon:
    weights = [weight for weight in model.blk.parameters() if weight.dim() == 2]
    return Muon(weights, MATRIX_RATE)


def _others(model: Model, device: torch.device) -> torch.optim.AdamW:
    norms = [weight for weight in model.parameters() if weight.dim() == 1]
    embedding = [model.token_embd.weight]
    return torch.optim.AdamW(
        [{"params": weights, "first_lr": OTHER_RATE} for weights in (embedding, norms)],
        lr=OTHER_RATE,
        betas=(0.9, 0.95),
        weight_decay=0.0,
        fused=device.type == "cuda",
    )


def _examination(
    corpus: Corpus, length: int, device: torch.device
) -> dict[str, tuple[Tensor, Tensor]]:
    """Held-out rows of each kind."""
    writer = RowWriter(corpus, length, 1)
    kinds = ("summary", "quotation", "merging", "answer", "talk", "copying")
    num_rows = 4 if device.type == "cuda" else 1
    exam = {}
    for kind in (*kinds, "prose"):
        share = 1.0 if kind == "prose" else 0.0
        made = [
            writer.row(((kind if share == 0 else "talk", 1.0),), share) for _ in range(num_rows)
        ]
        weights = torch.stack([row[1] for row in made])
        if kind != "prose":  # answers alone
            weights = (weights == 1.0).float()
        exam[kind] = (torch.stack([row[0] for row in made]).to(device), weights.to(device))
    return exam


# --- files ---------------------------------------------------------------------------------------


def _save_checkpoint(plan: Plan, model: Model, optimizers: Sequence[Any], step: int) -> None:
    state = {
        "step": step,
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
    }
    path = plan.out / "checkpoint.pt"
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def _resumed(plan: Plan, model: Model, optimizers: Sequence[Any]) -> dict[str, Any]:
    path = plan.out / "checkpoint.pt"
    if not path.exists():
        return {"step": 0}
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, values in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(values)
    return state


@torch.no_grad()
def _mix(model: Model, before: dict[str, Tensor]) -> None:
    """The mean of two models (Wortsman et al. 2022) keeps more of what both can do than either."""
    for name, weight in model.named_parameters():
        weight.lerp_(before[name].to(weight.device, weight.dtype), 1 - TALK_SHARE)


def _half_to_full(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.float() for name, weight in weights.items()}


def _save_model(path: Path, model: Model) -> None:
    part = path.with_suffix(".part")
    save_file({name: w.detach().cpu().half() for name, w in model.named_parameters()}, part)
    part.replace(path)


if __name__ == "__main__":
    raise SystemExit(main())
