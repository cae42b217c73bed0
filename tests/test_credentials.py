"""Credentials: hashes in a file, keys and sessions that can be taken back."""

import json
import stat
from pathlib import Path

import pytest

from webui.credentials import Credentials, CredentialsError


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return Credentials(tmp_path)


def test_a_key_opens_for_its_user_until_it_is_revoked(credentials: Credentials) -> None:
    key, secret = credentials.create_key("太郎")
    other, _ = credentials.create_key("花子")
    assert credentials.user_of_key(secret) == "太郎"
    assert credentials.user_of_key(secret[:-1]) is None and credentials.user_of_key("") is None
    assert credentials.revoke(key.id) == 1
    assert credentials.user_of_key(secret) is None
    assert credentials.keys() == (other,)
    with pytest.raises(CredentialsError):
        credentials.revoke(key.id)


def test_another_process_sees_a_change_at_once(credentials: Credentials, tmp_path: Path) -> None:
    _, secret = credentials.create_key("太郎")
    server = Credentials(tmp_path)
    assert server.user_of_key(secret) == "太郎"
    credentials.revoke("太郎")
    assert server.user_of_key(secret) is None


def test_the_file_holds_no_secret_and_nobody_else_may_read_it(
    credentials: Credentials, tmp_path: Path
) -> None:
    _, secret = credentials.create_key("太郎")
    credentials.set_password("太郎", "ひみつのことば!")
    path = tmp_path / "users.json"
    content = path.read_text(encoding="utf-8")
    assert secret not in content and "ひみつ" not in json.dumps(content, ensure_ascii=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_passwords_are_checked_and_end_sessions_when_changed(credentials: Credentials) -> None:
    credentials.set_password("太郎", "password-1")
    assert credentials.is_password("太郎", "password-1")
    assert not credentials.is_password("太郎", "password-2")
    assert not credentials.is_password("誰か", "password-1")
    assert not credentials.is_password("誰か", "")
    session = credentials.new_session("太郎")
    assert credentials.user_of_session(session) == "太郎"
    credentials.set_password("太郎", "password-2")
    assert credentials.user_of_session(session) is None


def test_sessions_cannot_be_forged(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials.set_password("太郎", "password-1")
    credentials.set_password("花子", "password-1")
    session = credentials.new_session("太郎")
    claim, signature = session.split(".")
    foreign = credentials.new_session("花子").split(".")[0]
    for forged in ("", ".", "x.y", f"{foreign}.{signature}", f"{claim}.", claim, "é.é"):
        assert credentials.user_of_session(forged) is None
    assert credentials.user_of_session(credentials.new_session("誰か")) is None
    monkeypatch.setattr("webui.credentials.time.time", lambda: 1e11)
    assert credentials.user_of_session(session) is None


@pytest.mark.parametrize("user", ["", " ", "a" * 65, "a\nb", "a\u202eb"])
def test_names_that_cannot_be_shown_are_refused(credentials: Credentials, user: str) -> None:
    with pytest.raises(CredentialsError):
        credentials.create_key(user)


def test_a_short_password_is_refused(credentials: Credentials) -> None:
    with pytest.raises(CredentialsError):
        credentials.set_password("太郎", "1234567")


def test_a_damaged_file_is_one_clear_error(credentials: Credentials, tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text("{", encoding="utf-8")
    with pytest.raises(CredentialsError, match=r"users\.json"):
        credentials.keys()
