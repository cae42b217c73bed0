"""What the README says about settings is what config.py does."""

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
