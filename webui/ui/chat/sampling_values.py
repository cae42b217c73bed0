"""The values of the settings panel: as the panel holds them, as storage keeps them, as presets.

Knows nothing about Gradio.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webui.application import Application
from webui.engine.request import SamplingParams
from webui.errors import AppError
from webui.strings import Language, text
from webui.tasks.sampling import SettingError, settings_of, usable_settings

BUILTIN = "builtin:"  # prefixes of a preset's id in the panel
SAVED = "saved:"
BUILTIN_PRESETS: dict[str, dict[str, Any]] = {
    "standard": {},
    "precise": {"temperature": 0.2, "top_p": 0.8},
    "creative": {"temperature": 1.1, "min_p": 0.08},
}
MAX_PRESET_NAME_CHARS = 60
SYSTEM_PROMPT = "system_prompt"


class PresetError(AppError):
    """A preset that cannot be saved under this name."""


@dataclass(frozen=True, slots=True)
class Knob:
    """One sampling value: its range in the panel. Wider values in storage stay as they are."""

    name: str
    low: float
    high: float
    step: float


KNOBS = (
    Knob("temperature", 0, 2, 0.05),
    Knob("top_p", 0, 1, 0.01),
    Knob("top_k", 0, 200, 1),
    Knob("min_p", 0, 0.5, 0.01),
    Knob("repeat_penalty", 1, 2, 0.01),
    Knob("max_tokens", 16, 8192, 16),
)
DEFAULTS = SamplingParams()
NOTHING: Mapping[str, float] = {}


def panel_values(
    system_prompt: str, sampling: Mapping[str, Any], recommended: Mapping[str, float] = NOTHING
) -> list[Any]:
    """[system prompt, one value per knob, seed] for the panel's components.

    What `sampling` does not set is as the model's makers recommend it, else as the engine has it.
    """
    usable = usable_settings(sampling)
    chosen = {**recommended, **usable}
    knobs = [chosen.get(knob.name, getattr(DEFAULTS, knob.name)) for knob in KNOBS]
    return [system_prompt, *knobs, usable.get("seed")]


def from_panel(
    values: Sequence[Any], recommended: Mapping[str, float] = NOTHING
) -> tuple[str, dict[str, Any]]:
    """The system prompt, and what differs from what counts where nothing is set.

    Raises SamplingError or SettingError.
    """
    system_prompt, *numbers = values
    names = [*(knob.name for knob in KNOBS), "seed"]
    given = zip(names, numbers, strict=True)
    sampling = settings_of({name: value for name, value in given if value is not None})
    overrides = {
        name: value
        for name, value in sampling.items()
        if value != recommended.get(name, getattr(DEFAULTS, name))
    }
    return _system_prompt(system_prompt), overrides


def rebased(
    values: Sequence[Any], before: Mapping[str, float], after: Mapping[str, float]
) -> list[Any]:
    """The panel's values when other ones are recommended from now on. Raises as from_panel."""
    return panel_values(*from_panel(values, before), after)


def preset_choices(
    application: Application, owner: str, language: Language
) -> list[tuple[str, str]]:
    """(shown name, id) of the built-in presets, then of the owner's."""
    builtin = [(text(f"ui.preset_{name}", language), BUILTIN + name) for name in BUILTIN_PRESETS]
    return builtin + [(name, SAVED + name) for name in application.storage.presets(owner)]


def preset_values(
    application: Application, owner: str, preset_id: str, recommended: Mapping[str, float]
) -> list[Any] | None:
    """The panel's values for a preset; None for an unknown one."""
    if preset_id.startswith(BUILTIN):
        values = BUILTIN_PRESETS.get(preset_id.removeprefix(BUILTIN))
    else:
        values = application.storage.presets(owner).get(preset_id.removeprefix(SAVED))
    if values is None:
        return None
    return panel_values(str(values.get(SYSTEM_PROMPT, "")), values, recommended)


def save_preset(
    application: Application,
    owner: str,
    name: str,
    values: Sequence[Any],
    recommended: Mapping[str, float],
) -> str:
    """Keep the panel's values under `name`; the preset's id. Raises PresetError."""
    name = " ".join(name.split())
    if not name or len(name) > MAX_PRESET_NAME_CHARS:
        raise PresetError("ui.preset_name_needed", limit=MAX_PRESET_NAME_CHARS)
    system_prompt, sampling = from_panel(values, recommended)
    application.storage.save_preset(owner, name, {SYSTEM_PROMPT: system_prompt, **sampling})
    return SAVED + name


def delete_preset(application: Application, owner: str, preset_id: str) -> None:
    """Forget one of the owner's presets; the built-in ones stay."""
    if preset_id.startswith(SAVED):
        application.storage.delete_preset(owner, preset_id.removeprefix(SAVED))


def _system_prompt(value: object) -> str:
    if value is not None and not isinstance(value, str):
        raise SettingError(SYSTEM_PROMPT)
    return value or ""
