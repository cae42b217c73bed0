"""An EngineCore on a small model, and a way to run requests to their end."""

from dataclasses import dataclass
from pathlib import Path

from webui.engine.request import FinishReason, LoadModel, Request, Usage
from webui.engine.worker.runner import ModelRunner
from webui.engine.worker.worker import EngineCore


@dataclass(slots=True)
class Done:
    ids: tuple[int, ...] = ()
    reason: FinishReason | None = None
    error: str = ""
    usage: Usage | None = None


def load_message(
    path: Path,
    *,
    n_ctx: int = 4096,
    n_slots: int = 8,
    n_batch: int = 128,
    host_cache_bytes: int = 0,
) -> LoadModel:
    return LoadModel(
        path=str(path),
        n_ctx=n_ctx,
        n_slots=n_slots,
        n_batch=n_batch,
        n_threads=2,
        n_gpu_layers=0,
        flash_attn="auto",
        kv_type="f16",
        mmap=True,
        mlock=False,
        host_cache_bytes=host_cache_bytes,
    )


def make_core(
    path: Path,
    n_ctx: int = 4096,
    n_slots: int = 8,
    n_batch: int = 128,
    host_cache_bytes: int = 0,
) -> EngineCore:
    load = load_message(
        path, n_ctx=n_ctx, n_slots=n_slots, n_batch=n_batch, host_cache_bytes=host_cache_bytes
    )
    return EngineCore(ModelRunner(load, lambda fraction: None), n_batch)


def run_all(core: EngineCore, requests: list[Request]) -> dict[int, Done]:
    """Everything there is to do, with the invariants checked after every step."""
    done: dict[int, Done] = {}
    outputs = [output for request in requests for output in core.add(request)]
    while core.scheduler.has_work or outputs:
        for output in outputs:
            entry = done.setdefault(output.request_id, Done())
            entry.ids += output.new_ids
            if output.finish_reason:
                entry.reason, entry.error = output.finish_reason, output.error
                entry.usage = output.usage
        outputs = core.step() if core.scheduler.has_work else []
        assert core.integrity().problems == ()
    return done
