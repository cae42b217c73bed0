"""What the README says about settings is what config.py does."""

import re
from dataclasses import fields
from pathlib import Path

from scripts.api_tables import tables
from webui.config import PROJECT_DIR, Settings

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_every_setting_stands_in_the_readme_with_its_default_and_meaning() -> None:
    rows = [line for line in README.splitlines() if line.startswith("| `")]
    expected = []
    for item in fields(Settings):
        default = item.default
        if isinstance(default, Path):
            default = default.relative_to(PROJECT_DIR)
        shown = f"`{default}`" if default != "" else ""
        row = f"| `{item.name}` | {shown} | {item.metadata['en']} |"
        expected.append(row.replace("|  |", "| |"))
    assert rows == expected


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) <= 200


def test_the_tables_of_the_api_are_those_of_the_code() -> None:
    """After a change: python -m scripts.api_tables prints them."""
    written = (PROJECT_DIR / "docs" / "api.md").read_text(encoding="utf-8")
    assert written.endswith("\n\n" + tables())


def test_every_decision_has_one_number_and_a_status() -> None:
    files = sorted((PROJECT_DIR / "docs" / "decisions").glob("*.md"))
    numbers = [file.name[:4] for file in files]
    assert len(set(numbers)) == len(numbers)
    for file, number in zip(files, numbers, strict=True):
        title, blank, status = file.read_text(encoding="utf-8").splitlines()[:3]
        assert title.startswith(f"# {number}: ") and not blank, file.name
        assert status.startswith("Status: "), file.name


def test_every_family_cites_what_stands_in_the_docs() -> None:
    facts = (PROJECT_DIR / "docs" / "prompt-formats.md").read_text(encoding="utf-8")
    for file in (PROJECT_DIR / "prompts").glob("*/family.toml"):
        for section in re.findall(r"prompt-formats ([A-Z]\d+)", file.read_text(encoding="utf-8")):
            assert f"\n## {section}." in facts, file.parent.name


def test_every_path_that_the_architecture_names_is_there() -> None:
    text = (PROJECT_DIR / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in set(re.findall(r"`(webui/[\w/.]+)`", text)):
        assert (PROJECT_DIR / path).exists(), path
