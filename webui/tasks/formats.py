"""Which prompt format each model gets: chosen once per model and user's choice.

Knows where users' own families are and what a user chose for a model; the choice itself is made
in prompts.
"""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from webui.config import LOCAL_USER
from webui.engine.tokenizer import Tokenizer
from webui.errors import AppError
from webui.models import ModelSpec
from webui.prompts import (
    Choice,
    ChoiceReason,
    Family,
    ModelFacts,
    PromptFormat,
    TemplateError,
    builtin_families,
    choose_family,
    gguf_format,
    load_family,
)
from webui.prompts.families import NAME
from webui.storage import Storage

FAMILY_SETTING = "family:"  # + a model's id: the user's choice for it, in storage


class Formats:
    """Remembers choices: compiling a stranger's template takes up to a second.

    Without a `storage` nobody has chosen anything; without a `families_dir` nobody has families
    of their own.
    """

    def __init__(self, storage: Storage | None = None, families_dir: Path | None = None) -> None:
        self._storage = storage
        self._families_dir = families_dir
        self._choices: dict[tuple[Any, ...], Choice] = {}

    def choice(
        self, spec: ModelSpec, tokenizer: Tokenizer, owner: str = "", *, knows_tools: bool = False
    ) -> Choice:
        """How to speak to `spec`, whose vocabulary is `tokenizer`'s, as `owner` wants it.

        `knows_tools`: our own wording of a family knows no tools, so where the model's file has a
        template that does, that one is taken. Raises TemplateError, UnknownFamilyError,
        FamilyError.
        """
        chosen = self._chosen(spec, tokenizer, owner)
        if knows_tools and chosen.format.tools is None and spec.chat_template.strip():
            return self._own(spec, tokenizer, chosen)
        return chosen

    def _own(self, spec: ModelSpec, tokenizer: Tokenizer, otherwise: Choice) -> Choice:
        """The file's own template where it knows tools."""
        key = (spec.path, spec.chat_template)
        if key not in self._choices:
            try:
                own = gguf_format(facts_of(spec, tokenizer))
            except TemplateError:
                own = otherwise.format
            self._choices[key] = Choice(own, ChoiceReason.GGUF)
        own_choice = self._choices[key]
        return own_choice if own_choice.format.tools else otherwise

    def _chosen(self, spec: ModelSpec, tokenizer: Tokenizer, owner: str) -> Choice:
        user_family = self.family_of(owner, spec.id)
        stamp = self._stamp(owner, user_family)
        key = (spec.path, spec.chat_template, spec.family, owner, user_family, stamp)
        if key not in self._choices:
            self._choices[key] = self._choose(spec, tokenizer, owner, user_family)
        return self._choices[key]

    def family_of(self, owner: str, model_id: str) -> str:
        """The family that `owner` chose for this model, "" for none."""
        if self._storage is None or not owner:
            return ""
        return self._storage.setting(owner, FAMILY_SETTING + model_id)

    def choose(self, owner: str, model_id: str, family: str) -> None:
        """Remember `owner`'s choice for this model; "" leaves it to us again."""
        assert self._storage is not None, "choices are remembered in a storage"
        self._storage.set_setting(owner, FAMILY_SETTING + model_id, family)

    def families(self, owner: str) -> dict[str, Family]:
        """The built-in families and `owner`'s own. Raises FamilyError naming a broken one."""
        own = {name: load_family(self.folder(owner) / name) for name in self.own_names(owner)}
        return {**own, **builtin_families()}

    def own_names(self, owner: str) -> list[str]:
        """The names of `owner`'s own families."""
        if self._families_dir is None:
            return []
        found = [path.parent.name for path in self.folder(owner).glob("*/family.toml")]
        return sorted(name for name in found if NAME.fullmatch(name))

    def folder(self, owner: str) -> Path:
        """Where `owner`'s own families are."""
        assert self._families_dir is not None, "there is no place for families of one's own"
        return own_folder(self._families_dir, owner)

    def _choose(
        self, spec: ModelSpec, tokenizer: Tokenizer, owner: str, user_family: str
    ) -> Choice:
        facts = facts_of(spec, tokenizer)
        families: Mapping[str, Family] = builtin_families()
        if user_family and user_family not in families:
            if user_family not in self.own_names(owner):
                gone = AppError("inspector.family_gone", name=user_family)
                choice = choose_family(families, facts, explicit=spec.family)
                return replace(choice, warning=choice.warning or gone)
            own = load_family(self.folder(owner) / user_family)
            families = {**families, user_family: own}
        explicit = "" if user_family else spec.family
        return choose_family(families, facts, explicit=explicit, user=user_family)

    def _stamp(self, owner: str, name: str) -> tuple[int, ...]:
        """Changes whenever an own family is saved or removed."""
        if not name or self._families_dir is None or name in builtin_families():
            return ()
        folder = self.folder(owner) / name
        files = (folder / "chat.jinja", folder / "family.toml")
        return tuple(path.stat().st_mtime_ns for path in files if path.exists())


def own_folder(families_dir: Path, owner: str) -> Path:
    """Where `owner`'s own families are; nobody reads or replaces another's."""
    if owner in ("", LOCAL_USER):
        return families_dir
    return families_dir / ("user-" + sha256(owner.encode("utf-8")).hexdigest()[:24])


def facts_of(spec: ModelSpec, tokenizer: Tokenizer) -> ModelFacts:
    """What the choice of a format goes by."""
    return ModelFacts(
        name=spec.formal_name,
        architecture=spec.architecture,
        chat_template=spec.chat_template,
        bos_token=tokenizer.bos_text,
        eos_token=tokenizer.eos_text,
    )


def known_variables(form: PromptFormat, given: object) -> dict[str, object]:
    """Of the values kept with a conversation, those that this format can take.

    A conversation goes on with another model, which knows nothing of the first one's variables.
    """
    values = given if isinstance(given, Mapping) else {}
    return {
        variable.name: values[variable.name]
        for variable in form.variables
        if variable.name in values
    }
