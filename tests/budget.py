"""How many examples Hypothesis makes: some in the quick run, all of them in the thorough one."""

from hypothesis import settings

THOROUGH = "thorough"
QUICK = "quick"

settings.register_profile(THOROUGH, deadline=None, max_examples=100)
settings.register_profile(QUICK, deadline=None, max_examples=20)
settings.load_profile(QUICK)  # --hypothesis-profile thorough: see the Makefile


def examples(count: int) -> int:
    """`count` in the thorough run."""
    is_thorough = settings.get_current_profile_name() == THOROUGH
    return count if is_thorough else max(5, count // 6)
