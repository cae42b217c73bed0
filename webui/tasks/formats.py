"""Which prompt format each model gets; chosen once per model and user's choice."""

from pathlib import Path

from webui.catalog import ModelSpec
from webui.engine.tokenizer import Tokenizer
from webui.prompts import Choice, ModelFacts, builtin_families, choose_family


class Formats:
    """Remembers choices: compiling a stranger's template takes up to a second."""

    def __init__(self) -> None:
        self._choices: dict[tuple[Path, str, str, str], Choice] = {}

    def choice(self, spec: ModelSpec, tokenizer: Tokenizer, user_family: str = "") -> Choice:
        """How to speak to `spec`, whose vocabulary is `tokenizer`'s.

        Raises TemplateError, UnknownFamilyError.
        """
        key = (spec.path, spec.chat_template, spec.family, user_family)
        if key not in self._choices:
            facts = ModelFacts(
                name=spec.name,
                architecture=spec.architecture,
                chat_template=spec.chat_template,
                bos_token=tokenizer.bos_text,
                eos_token=tokenizer.eos_text,
            )
            self._choices[key] = choose_family(
                builtin_families(), facts, explicit=spec.family, user=user_family
            )
        return self._choices[key]
