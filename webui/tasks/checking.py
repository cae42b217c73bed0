"""An answer that is checked after it is written, and written again where it does not obey.

For schemas of which a grammar cannot hold everything. Knows nothing about HTTP.
"""

import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

from webui.engine.client import Delta, Progress
from webui.engine.grammar.checking import Checker, Fault
from webui.engine.request import FinishReason, SamplingParams
from webui.tasks.pieces import BadAskError

MAX_TRIES = 4
AGAIN_TEMPERATURE = 0.8  # of another try, at least: the same would come out the same
SEED_STEP = 7919


async def checked(
    write: Callable[[int], AsyncGenerator[Progress | Delta, None]],
    checker: Checker,
    parameter: str,
) -> AsyncGenerator[Progress | Delta, None]:
    """Progress, then the whole text as one Delta. `write` is given the number of the try.

    Raises BadAskError that names what was not met, and whatever `write` raises.
    """
    fault = Fault("", "")
    for number in range(MAX_TRIES):
        whole = Delta("")
        async with contextlib.aclosing(write(number)) as events:
            async for event in events:
                if isinstance(event, Progress):
                    yield event
                    continue
                whole = _both(whole, event)
                yield Progress(0, 0, -1)
        found = checker.fault(whole.text) if whole.finish_reason is FinishReason.STOP else None
        if found is None:
            yield whole
            return
        fault = found
    place = fault.place or "/"
    raise BadAskError("serving.not_met", parameter, place=place, keyword=fault.keyword)


def again(sampling: SamplingParams, number: int) -> SamplingParams:
    """The settings of try `number`."""
    if not number:
        return sampling
    seed = None if sampling.seed is None else (sampling.seed + number * SEED_STEP) % (1 << 32)
    return replace(sampling, seed=seed, temperature=max(sampling.temperature, AGAIN_TEMPERATURE))


def _both(first: Delta, second: Delta) -> Delta:
    return Delta(
        first.text + second.text,
        first.token_ids + second.token_ids,
        second.finish_reason,
        second.usage,
        first.logprobs + second.logprobs,
    )
