"""What the inspector shows: the exact prompt of a conversation, its tokens, the doctor's findings.

Knows models, conversations and formats; knows nothing about Gradio. Everything here is text that
the browser shows as text.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from webui.errors import AppError
from webui.prompts import (
    ChatTemplate,
    FamilyError,
    PromptFormat,
    RenderedPrompt,
    TemplateError,
    builtin_families,
    gguf_format,
    remove_family,
    save_family,
)
from webui.storage import Message, Role
from webui.strings import Language, table, text
from webui.tasks.chat.context import fit_history
from webui.tasks.chat.inspection import Inspection, Kind, inspect
from webui.tasks.formats import facts_of, known_variables
from webui.tasks.sampling import sampling_of
from webui.ui.chat.subject import Subject

PAGE = "inspector.page_"
MAX_DIFFERENCE_LINES = 4_000  # likewise: it compares whole lines
MAX_DIFFERENCE_CHARS = 40_000  # of both texts together; the comparison's time grows with them
NO_OFFER: dict[str, Any] = {
    "warning": "",
    "can_switch": False,
    "thinking": None,
    "variables": [],
}


def inspector_view(subject: Subject, language: Language, source: str = "") -> dict[str, Any]:
    """Everything the pane shows. With a `source`, of that template instead of the chosen one."""
    choice = subject.choice
    saved = choice.format.template.source
    if source and source != saved:
        choice = replace(choice, format=with_template(choice.format, source, subject))
    prompt, num_dropped = _prompt_of(subject, choice.format, language)
    facts = facts_of(subject.spec, subject.tokenizer)
    seen = inspect(choice, subject.tokenizer, prompt, facts)
    formats = subject.application.chat.formats
    own = formats.own_names(subject.owner)
    families = formats.families(subject.owner)
    return {
        "model": subject.spec.name,
        "is_example": not _path(subject),
        "family": families[choice.family].title if choice.family else "",
        "chosen": formats.family_of(subject.owner, subject.spec.id),
        "families": [
            {"name": name, "title": families[name].title, "own": name in own}
            for name in sorted(families, key=lambda name: (name not in own, name))
        ],
        "is_own": choice.family in own,
        "reason": text(f"inspector.reason_{choice.reason}", language),
        "template": source or saved,
        "is_edited": bool(source) and source != saved,
        "tokens": list(_pieces(seen, _contents(subject, language))),
        "num_tokens": len(seen.tokens),
        "num_dropped": num_dropped,
        "findings": [
            {"level": str(one.level), "sentence": one.sentence.message(language)}
            for one in seen.findings
        ],
        "difference": _difference(subject, prompt, language, is_edited=bool(source)),
    }


def offer_view(subject: Subject, language: Language) -> dict[str, Any]:
    """What the reader can set for this model, and what to know about its format."""
    choice = subject.choice
    form = choice.format
    values = known_variables(form, subject.settings.get("variables"))
    return {
        "warning": choice.warning.message(language) if choice.warning else "",
        "can_switch": form.can_think and bool(form.thinking_switch),
        "thinking": subject.settings.get("thinking"),
        "variables": [
            {
                "name": one.name,
                "label": _label(f"variable_{one.name}", one.name, language),
                "value": values.get(one.name, one.default),
                "low": one.low,
                "high": one.high,
                "choices": [
                    [choice, _label(f"choice_{choice.lower()}", choice, language)]
                    for choice in one.choices
                ],
            }
            for one in form.variables
        ],
    }


def keep_manner(subject: Subject, manner: Mapping[str, Any]) -> None:
    """Keep how the model is to answer with the conversation. Raises VariableError."""
    if subject.conversation is None:
        return  # the browser keeps it until the conversation begins
    form = subject.choice.format
    known = {variable.name: variable for variable in form.variables}
    given = known_variables(form, manner.get("variables"))
    checked = {name: known[name].check(value) for name, value in given.items()}
    kept = subject.conversation.sampling.items()
    sampling = {name: value for name, value in kept if name not in ("thinking", "variables")}
    sampling |= {"thinking": manner["thinking"]} if "thinking" in manner else {}
    sampling |= {"variables": checked} if checked else {}
    subject.application.storage.update_conversation(
        subject.owner, subject.conversation.id, sampling=sampling
    )


def save_own(subject: Subject, name: str, source: str, language: Language) -> None:
    """Save the edited template as a family and use it for this model. Raises AppError."""
    if name in builtin_families():
        raise FamilyError("inspector.name_taken", name=name)
    form = subject.choice.format
    _prompt_of(subject, with_template(form, source, subject), language)  # it must work
    formats = subject.application.chat.formats
    save_family(formats.folder(subject.owner), name, source, like=form)
    formats.choose(subject.owner, subject.spec.id, name)


def remove_own(subject: Subject) -> None:
    """Go back: remove the own family that this model uses."""
    formats = subject.application.chat.formats
    remove_family(formats.folder(subject.owner), subject.choice.family)
    formats.choose(subject.owner, subject.spec.id, "")


def choose(subject: Subject, family: str) -> None:
    """Use `family` ("" = choose automatically) for this model. Raises UnknownFamilyError."""
    formats = subject.application.chat.formats
    if family and family not in formats.families(subject.owner):
        raise AppError("prompts.unknown_family", name=family[:60])
    formats.choose(subject.owner, subject.spec.id, family)


def _label(key: str, name: str, language: Language) -> str:
    """What people call a value of a built-in family; a family of one's own has only names."""
    full = f"inspector.{key}"
    return text(full, language) if full in table() else name


def page_strings_of(language: Language) -> dict[str, str]:
    return {
        key.removeprefix(PAGE): languages[language]
        for key, languages in table().items()
        if key.startswith(PAGE)
    }


def with_template(form: PromptFormat, source: str, subject: Subject) -> PromptFormat:
    """`form` with another template. Raises TemplateError."""
    template = ChatTemplate(
        source,
        name=text("inspector.edited"),
        bos_token=form.bos_text or subject.tokenizer.bos_text,
        eos_token=subject.tokenizer.eos_text,
    )
    return replace(form, template=template)


def _path(subject: Subject) -> list[Message]:
    """What the model read for the last answer."""
    if subject.conversation is None:
        return []
    storage = subject.application.storage
    path = storage.path(subject.owner, subject.conversation.id)
    while path and path[-1].role is not Role.USER:
        path = path[:-1]
    return path


def _prompt_of(
    subject: Subject, form: PromptFormat, language: Language
) -> tuple[RenderedPrompt, int]:
    """(prompt, turns that did not fit) as the chat makes it."""
    path, settings = _path(subject), subject.settings
    thinking = settings.get("thinking")
    variables = known_variables(form, settings.get("variables"))
    if not path:
        messages = [{"role": "user", "content": text("inspector.example", language)}]
        if subject.system_prompt.strip():
            messages.insert(0, {"role": "system", "content": subject.system_prompt})
        return form.render(messages, thinking=thinking, variables=variables), 0
    fitted = fit_history(
        subject.tokenizer,
        lambda messages: form.render(messages, thinking=thinking, variables=variables),
        subject.n_ctx,
        subject.system_prompt,
        path,
        sampling_of({**form.sampling, **settings}),
    )
    return fitted.rendered, fitted.usage.num_dropped_turns


def _contents(subject: Subject, language: Language) -> list[tuple[str, str]]:
    """(name of the part, text) of each message, in the prompt's order."""
    system = subject.system_prompt.strip() and subject.system_prompt
    contents = [(text("inspector.part_system", language), system)] if system else []
    number = 0
    for message in _path(subject):
        number += message.role is Role.USER
        key = "inspector.part_user" if message.role is Role.USER else "inspector.part_answer"
        contents.append((text(key, language, number=number), message.content))
    if not number:
        example = text("inspector.example", language)
        contents.append((text("inspector.part_user", language, number=1), example))
    return contents


def _pieces(seen: Inspection, contents: Sequence[tuple[str, str]]) -> Iterator[list[Any]]:
    """[id, text, kind, part] of each token; the part is "" for what the template wrote."""
    names = _part_names(seen.prompt, contents)
    shown = 0
    for token in seen.tokens:
        end = max(shown, token.end)
        piece = seen.prompt.text[shown:end] if end > shown else ""
        if token.kind is not Kind.MESSAGE and not piece:
            piece = token.text if token.start == token.end else ""
        part = names[min(token.start, len(names) - 1)] if token.kind is Kind.MESSAGE else ""
        shown = end
        yield [token.id, piece, str(token.kind), part]


def _part_names(prompt: RenderedPrompt, contents: Sequence[tuple[str, str]]) -> list[str]:
    """For each character of the prompt, the part that it belongs to ("" = the template).

    Ranges come in the order of the messages; each belongs to the next message that holds it.
    """
    names = [""] * (len(prompt.text) + 1)
    at = 0
    for span in prompt.message_spans:
        said = prompt.text[span.start : span.end].strip()
        found = next((i for i in range(at, len(contents)) if said in contents[i][1]), at)
        first = said.split("\n\n")[0]  # a system text joined to the question begins it
        joined = next((i for i in range(at, len(contents)) if first in contents[i][1]), found)
        at = found if said in contents[found][1] else joined
        names[span.start : span.end] = [contents[at][0]] * (span.end - span.start)
    return names


def _difference(
    subject: Subject, prompt: RenderedPrompt, language: Language, *, is_edited: bool
) -> list[list[str]] | None:
    """[" ", "-" or "+", text] against the chosen format when edited, else the file's template."""
    try:
        if is_edited:
            other, _ = _prompt_of(subject, subject.choice.format, language)
        elif subject.choice.family and subject.spec.chat_template.strip():
            own = gguf_format(facts_of(subject.spec, subject.tokenizer))
            other, _ = _prompt_of(subject, own, language)
        else:
            return None
    except TemplateError:  # the doctor says it
        return None
    if len(other.text) + len(prompt.text) > MAX_DIFFERENCE_CHARS:
        return None
    before, after = other.text.splitlines(keepends=True), prompt.text.splitlines(keepends=True)
    if before == after:
        return []
    if len(before) + len(after) > MAX_DIFFERENCE_LINES:
        return None
    rows: list[list[str]] = []
    for operation, a, b, c, d in difflib.SequenceMatcher(None, before, after).get_opcodes():
        if operation == "equal":
            rows.append([" ", "".join(before[a:b])])
        else:
            rows += [["-", "".join(before[a:b])]] if b > a else []
            rows += [["+", "".join(after[c:d])]] if d > c else []
    return rows
