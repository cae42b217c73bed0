"""Which chats are parked and come back, with no model: operations in an order that works."""

from webui.engine.request import Request, SamplingParams
from webui.engine.worker.host_cache import HostCache
from webui.engine.worker.prefix_cache import Discard, MemoryOperation, Park, PrefixCache, Restore
from webui.engine.worker.sequence import Sequence


def make_cache(num_slots: int = 4, host_bytes: int = 10_000, **options: bool) -> PrefixCache:
    """A token takes one byte of the host's memory."""
    cache = PrefixCache(
        num_slots,
        1024,
        host=HostCache(host_bytes),
        state_bytes=lambda slot: len(cache.slots[slot].token_ids),
        **options,
    )
    return cache


def sequence(prompt: list[int]) -> Sequence:
    return Sequence.of(Request(1, tuple(prompt), SamplingParams(max_tokens=8)))


def chat(cache: PrefixCache, prompt: list[int]) -> list[MemoryOperation]:
    """A prompt is read and its sequence ends; what was idle before is parked."""
    running = sequence(prompt)
    operations = cache.allocate(running)
    assert operations is not None
    cache.extend(running.slot, prompt[running.num_computed_tokens :])
    operations += cache.park_idle()
    cache.retain(running.slot)
    assert cache.problems() == []
    return operations


def keys_missing(operations: list[MemoryOperation], keys: set[int]) -> list[int]:
    """Those that are restored after they were discarded."""
    missing = []
    for operation in operations:
        match operation:
            case Park(_, key):
                keys.add(key)
            case Discard(key):
                keys.remove(key)
            case Restore(key, _) if key not in keys:
                missing.append(key)
    return missing


def test_what_comes_back_is_not_thrown_away_for_what_is_parked_before() -> None:
    cache = make_cache(host_bytes=200)
    first = list(range(100))
    keys: set[int] = set()
    assert not keys_missing(chat(cache, first), keys)
    # Two at once, so that two are idle when the first comes back, and no room for all three.
    others = [sequence(list(range(start, start + 80))) for start in (200, 300)]
    for other in others:
        operations = cache.allocate(other)
        assert operations is not None
        cache.extend(other.slot, other.token_ids)
        assert not keys_missing(operations + cache.park_idle(), keys)
    for other in others:
        cache.retain(other.slot)
    operations = chat(cache, [*first, 900])
    assert any(isinstance(operation, Restore) for operation in operations)
    assert not keys_missing(operations, keys)
    assert cache.host.num_bytes <= 200
    assert keys == set(cache.host._parked)


def test_a_state_that_is_older_than_the_idle_one_comes_back_first() -> None:
    """Memory that cannot be cut: the last turn is written anew from the state before it."""
    cache = make_cache(partial_reuse=False)
    first, keys = list(range(100)), set[int]()
    assert not keys_missing(chat(cache, first), keys)
    assert not keys_missing(chat(cache, list(range(500, 540))), keys)
    assert not keys_missing(chat(cache, [*first, 700, 701]), keys)
    operations = chat(cache, [*first, 800, 801])
    assert any(isinstance(operation, Restore) for operation in operations)
    assert not keys_missing(operations, keys)
    assert keys == set(cache.host._parked)
