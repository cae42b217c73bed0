"""Options of one model: remembered, checked, and what the worker is told."""

from pathlib import Path

import pytest

from webui.config import Settings
from webui.engine.options import (
    BadOptionError,
    ModelOptions,
    OptionsMemory,
    load_message,
    options_of,
)
from webui.models import ModelSpec
from webui.storage import Storage
from webui.strings import Language

SPEC = ModelSpec(id="m", path=Path("m.gguf"), name="M")


def test_what_is_chosen_goes_before_the_settings() -> None:
    settings = Settings(n_ctx=4096, n_slots=3, n_threads=2, kv_type="f16", flash_attn="on")
    load = load_message(settings, ModelOptions(n_ctx=0, n_gpu_layers=5, kv_type="q8_0"), SPEC)
    assert (load.n_ctx, load.n_gpu_layers, load.kv_type) == (0, 5, "q8_0")
    assert (load.n_slots, load.n_threads, load.flash_attn) == (3, 2, "on")
    assert load.path == "m.gguf"
    assert load_message(Settings(), ModelOptions(), SPEC).n_threads >= 1


def test_a_step_holds_a_token_of_every_slot_and_more() -> None:
    """llama.cpp ends the process when a batch is larger than it was told."""
    load = load_message(Settings(n_batch=32), ModelOptions(n_slots=64), SPEC)
    assert load.n_batch >= 64 + 2
    assert load_message(Settings(n_batch=512), ModelOptions(n_slots=8), SPEC).n_batch == 512


def test_options_survive_a_restart_and_are_kept_apart(tmp_path: Path) -> None:
    chosen = ModelOptions(n_ctx=2048, family="chatml")
    storage = Storage(tmp_path / "db")
    OptionsMemory(storage).remember("a", chosen)
    storage.close()
    memory = OptionsMemory(storage := Storage(tmp_path / "db"))
    assert memory.of("a") == chosen
    assert memory.of("b") == ModelOptions()
    memory.remember("a", ModelOptions())
    assert memory.of("a") == ModelOptions()
    storage.set_setting("local", "model_options:a", '{"n_ctx": "many"}')
    assert memory.of("a") == ModelOptions(), "what an older version left is no obstacle"
    storage.close()


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"n_ctx": 10**9}, "n_ctx"),
        ({"n_ctx": 3}, "n_ctx"),
        ({"n_threads": -1}, "n_threads"),
        ({"n_slots": 0}, "n_slots"),
        ({"n_slots": True}, "n_slots"),
        ({"n_gpu_layers": -2}, "n_gpu_layers"),
        ({"n_ctx": 4096.5}, "n_ctx"),
        ({"kv_type": "q1_0"}, "kv_type"),
        ({"flash_attn": "maybe"}, "flash_attn"),
        ({"colour": "red"}, "colour"),
        ({"kv_type": "q8_0", "flash_attn": "off"}, "q8_0"),
    ],
)
def test_an_absurd_option_is_one_clear_sentence(values: dict[str, object], name: str) -> None:
    with pytest.raises(BadOptionError) as caught:
        options_of(values)
    assert all(name in caught.value.message(language) for language in Language)
