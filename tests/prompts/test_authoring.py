"""A user's own family: saved, read again, and taken back."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from webui.prompts import (
    FamilyError,
    TemplateError,
    builtin_families,
    load_families,
    remove_family,
    save_family,
)
from webui.prompts.families import BUILTIN_DIR

FAMILIES = builtin_families()
QUESTION = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_saved_is_what_is_read_again(tmp_path: Path, name: str) -> None:
    form = FAMILIES[name].format
    saved = save_family(tmp_path, "mine", form.template.source, like=form).format
    same = {field.name for field in fields(form)} - {"name", "template"}
    assert {key: getattr(saved, key) for key in same} == {key: getattr(form, key) for key in same}
    assert saved.render(QUESTION) == form.render(QUESTION)


def test_an_edited_template_counts_until_it_is_taken_back(tmp_path: Path) -> None:
    form = FAMILIES["chatml"].format
    edited = form.template.source.replace("<|im_start|>assistant", "<|im_start|>bot")
    save_family(tmp_path, "chatml", edited, like=form)
    both = load_families(BUILTIN_DIR, tmp_path)
    assert "<|im_start|>bot" in both["chatml"].format.render(QUESTION).text
    remove_family(tmp_path, "chatml")
    both = load_families(BUILTIN_DIR, tmp_path)
    assert both["chatml"].format.render(QUESTION) == form.render(QUESTION)


def test_strange_texts_survive_the_file(tmp_path: Path) -> None:
    odd = '"""\\ \x7f \n\t \u2028 日本 # \\u0041 ]'
    form = replace(FAMILIES["chatml"].format, default_system=odd, stops=(odd,), bos_text=odd)
    saved = save_family(tmp_path, "odd", "{{ messages[-1].content }}", like=form).format
    assert (saved.default_system, saved.stops, saved.bos_text) == (odd, (odd,), odd)


@pytest.mark.parametrize("name", ["", "..", "../x", "A", "x/y", "あ", "x" * 5 + "\n", "-x", "C:"])
def test_a_name_that_is_no_directory_of_ours_is_refused(tmp_path: Path, name: str) -> None:
    form = FAMILIES["chatml"].format
    with pytest.raises(FamilyError):
        save_family(tmp_path / "in", name, "x", like=form)
    with pytest.raises(FamilyError):
        remove_family(tmp_path / "in", name)
    assert not (tmp_path / "in").exists()


def test_a_template_that_cannot_be_compiled_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(TemplateError):
        save_family(tmp_path, "mine", "{% for %}", like=FAMILIES["chatml"].format)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(FamilyError, match="file"):
        save_family(tmp_path / "file", "mine", "x", like=FAMILIES["chatml"].format)
