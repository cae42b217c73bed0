"""What the engines are doing now, for the chip in the page's header: loaded, loading, waiting.

Of other people a reader learns only that they wait, and for which model. Knows nothing of Gradio.
"""

from typing import TypedDict

from webui.application import Application
from webui.credentials import login_needed
from webui.engine.pool import EnginePool, LoadState


class ActiveModel(TypedDict):
    name: str
    state: str  # loading | ready | stopped: its process has ended by itself
    fraction: float  # of the weights, while loading
    running: int  # answers that it writes now


class Waiter(TypedDict):
    model: str
    is_mine: bool


class ActivityView(TypedDict):
    models: list[ActiveModel]
    queue: list[Waiter]  # the next one first
    user: str | None  # who has logged in, where a login is needed


def activity_view(application: Application, owner: str) -> ActivityView:
    engines = application.engines
    names = {spec.id: spec.name for spec in engines.models()}
    queue = [
        Waiter(model=names.get(ticket.model_id, ticket.model_id), is_mine=ticket.owner == owner)
        for ticket in engines.turns.in_turn()
    ]
    models = [
        ActiveModel(
            name=names.get(model_id, model_id),
            state="stopped" if _has_stopped(engines, model_id) else str(state.state),
            fraction=state.fraction,
            running=engines.turns.load_of(model_id),
        )
        for model_id in engines.resident_ids()
        if (state := engines.state(model_id)).state in (LoadState.LOADING, LoadState.READY)
    ]
    user = owner if login_needed(application.settings) else None
    return ActivityView(models=models, queue=queue, user=user)


def _has_stopped(engines: EnginePool, model_id: str) -> bool:
    return engines.state(model_id).state is LoadState.READY and engines.loaded(model_id) is None
