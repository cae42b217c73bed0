"""How many prompt tokens fit beside running chats without slowing them noticeably.

On a CPU a 512-token chunk takes seconds, so the share is learned: from the time of steps that only
decode, and from what a prompt token adds to a step. Knows nothing about sequences.
"""

MAX_SLOWDOWN = 1.5  # a step that also reads may take this many times a decode-only step
MEASURE_EVERY = 24  # mixed steps between two decode-only steps, which keep the measure fresh
SMOOTHING = 0.25  # weight of the newest measurement
FIRST_CHUNK = 4  # tokens, before anything is known


class Pace:
    def __init__(self, n_batch: int) -> None:
        self._n_batch = n_batch
        self._decode_s: dict[int, float] = {}  # decode-only step time by number of sequences
        self._token_s = 0.0  # what one prompt token adds to a step
        self._num_mixed_steps = 0

    def prefill_tokens(self, num_decoding: int) -> int:
        """Prompt tokens for the next step (0 = only decode this time)."""
        room = self._n_batch - num_decoding
        decode_s = self._decode_s.get(num_decoding)
        if decode_s is None or self._num_mixed_steps >= MEASURE_EVERY:
            return 0
        if not self._token_s:
            return min(room, FIRST_CHUNK)
        return min(room, max(1, int((MAX_SLOWDOWN - 1) * decode_s / self._token_s)))

    def observe(self, num_decoding: int, num_prefill: int, seconds: float) -> None:
        """A step has taken `seconds`."""
        if num_decoding == 0:
            return
        if num_prefill == 0:
            self._num_mixed_steps = 0
            known = self._decode_s.get(num_decoding, seconds)
            # A hiccup of the machine must not look like room for a larger chunk.
            self._decode_s[num_decoding] = _blend(known, min(seconds, 1.5 * known))
            return
        self._num_mixed_steps += 1
        added = max(seconds - self._decode_s.get(num_decoding, 0.0), 1e-6) / num_prefill
        self._token_s = _blend(self._token_s or added, added)


def _blend(known: float, measured: float) -> float:
    return known + SMOOTHING * (measured - known)
