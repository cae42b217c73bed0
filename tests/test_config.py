"""Settings: where they come from and what is refused."""

import re
from pathlib import Path

import pytest

from webui.config import Settings, SettingsError, load_settings
from webui.strings import Language, table


def test_command_line_beats_environment_beats_file(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('port = 1\nhost = "a"\nkv_type = "q8_0"\n')
    settings = load_settings(
        {"data_dir": str(tmp_path), "port": "3"}, {"KAJOGAKI_PORT": "2", "KAJOGAKI_HOST": "b"}
    )
    assert (settings.port, settings.host, settings.kv_type) == (3, "b", "q8_0")
    assert settings.data_dir == tmp_path


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", "99999"), ("port", "abc"), ("port", "-1"), ("kv_type", "q4"), ("n_slots", "0"),
     ("browser", "maybe"), ("n_batch", "1e9")],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({name: value}, {})
    for language in Language:
        message = caught.value.message(language)
        assert name in message and value in message and "\n" not in message


def test_a_misspelt_setting_in_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("prot = 1\n")
    with pytest.raises(SettingsError, match="prot"):
        load_settings({"data_dir": str(tmp_path)}, {})


def test_a_settings_file_that_is_not_toml_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_bytes(b"\xff\xfe= [")
    with pytest.raises(SettingsError, match="settings.toml"):
        load_settings({"data_dir": str(tmp_path)}, {})


def test_every_setting_has_help_in_both_languages() -> None:
    for item in Settings.__dataclass_fields__.values():
        assert item.metadata["ja"] and item.metadata["en"]


def test_japanese_strings_fill_no_place_that_english_ones_lack() -> None:
    for key, languages in table().items():
        places = {code: set(re.findall(r"{(\w+)", value)) for code, value in languages.items()}
        assert places[Language.JA] <= places[Language.EN], key
