"""GET /metrics: what the engines do, in Prometheus' text format (version 0.0.4)."""

from collections.abc import Iterable, Iterator

from fastapi import Response

from webui.engine.metering import BOUNDS_S, Histogram
from webui.engine.pool import EnginePool, LoadState

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[str, float]  # labels as written, value


def metrics(engines: EnginePool) -> Response:
    return Response("".join(_families(engines)), media_type=MEDIA_TYPE)


def _families(engines: EnginePool) -> Iterator[str]:
    models = engines.metering.models
    waiting = [ticket.model_id for ticket in engines.turns.waiting]
    names = sorted({*models, *waiting, *engines.loaded_ids()})
    yield _family(
        "requests_running",
        "gauge",
        "Sequences that are computed now.",
        ((_model(name), engines.turns.load_of(name)) for name in names),
    )
    yield _family(
        "requests_waiting",
        "gauge",
        "Requests that wait for their turn or their model.",
        ((_model(name), waiting.count(name)) for name in names),
    )
    yield _family(
        "model_loaded",
        "gauge",
        "1 for a model that answers at once.",
        ((_model(name), engines.state(name).state is LoadState.READY) for name in names),
    )
    yield _family(
        "requests_total",
        "counter",
        "Requests that have ended, by how.",
        (
            (f'{_model(name)},finish_reason="{reason}"', count)
            for name, meter in models.items()
            for reason, count in sorted(meter.finished.items())
        ),
    )
    for field, help_text in (
        ("prompt_tokens", "Prompt tokens, cached ones included."),
        ("cached_tokens", "Prompt tokens found in the cache."),
        ("completion_tokens", "Tokens generated."),
    ):
        samples = ((_model(name), getattr(meter, field)) for name, meter in models.items())
        yield _family(f"{field}_total", "counter", help_text, samples)
    yield _histograms(
        "time_to_first_token_seconds",
        "From arrival in the engine to the first token.",
        ((name, meter.time_to_first_token) for name, meter in models.items()),
    )
    yield _histograms(
        "queue_seconds",
        "From arrival in the engine to admission.",
        ((name, meter.queue) for name, meter in models.items()),
    )


def _family(name: str, kind: str, help_text: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP kajogaki_{name} {help_text}", f"# TYPE kajogaki_{name} {kind}"]
    lines += [f"kajogaki_{name}{{{labels}}} {float(value):g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _histograms(name: str, help_text: str, histograms: Iterable[tuple[str, Histogram]]) -> str:
    lines = [f"# HELP kajogaki_{name} {help_text}", f"# TYPE kajogaki_{name} histogram"]
    for model_id, histogram in histograms:
        label, running = _model(model_id), 0
        for bound, count in zip((*BOUNDS_S, float("inf")), histogram.counts, strict=True):
            running += count
            shown = "+Inf" if bound == float("inf") else f"{bound:g}"
            lines.append(f'kajogaki_{name}_bucket{{{label},le="{shown}"}} {running}')
        lines.append(f"kajogaki_{name}_sum{{{label}}} {histogram.total_s:.6f}")
        lines.append(f"kajogaki_{name}_count{{{label}}} {histogram.count}")
    return "\n".join(lines) + "\n"


def _model(model_id: str) -> str:
    escaped = model_id.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'model="{escaped}"'
