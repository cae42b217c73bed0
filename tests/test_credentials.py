"""Credentials: hashes in a file, keys and sessions that can be taken back."""

import json
import stat
from pathlib import Path

import pytest

from webui.credentials import MAX_SESSIONS, Credentials, CredentialsError


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
    credentials: Credentials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials.set_password("太郎", "password-1")
    session = credentials.new_session("太郎")
    content = (tmp_path / "users.json").read_text(encoding="utf-8")
    assert session not in content  # whoever reads the file gets into no session
    kept = json.loads(content)["sessions"][0]["hash"]
    for forged in ("", ".", "x.y", session[:-1], session + "=", kept, "é.é", "A" * 60_000):
        assert credentials.user_of_session(forged) is None
    assert credentials.user_of_session(credentials.new_session("誰か")) is None
    monkeypatch.setattr("webui.credentials.time.time", lambda: 1e11)
    assert credentials.user_of_session(session) is None


def test_a_session_that_was_ended_opens_nothing_any_more(
    credentials: Credentials, tmp_path: Path
) -> None:
    """F10: after a logout the old cookie worked for thirty days."""
    credentials.set_password("太郎", "password-1")
    session, other = credentials.new_session("太郎"), credentials.new_session("太郎")
    credentials.end_session(session)
    credentials.end_session("nobody's")
    for server in (credentials, Credentials(tmp_path)):  # a restart changes nothing
        assert server.user_of_session(session) is None
        assert server.user_of_session(other) == "太郎"
    credentials.revoke("太郎")
    credentials.set_password("太郎", "password-1")  # the same one again
    assert credentials.user_of_session(other) is None


def test_sessions_do_not_pile_up(credentials: Credentials, tmp_path: Path) -> None:
    credentials.set_password("太郎", "password-1")
    credentials.set_password("花子", "password-1")
    others = credentials.new_session("花子")
    tokens = [credentials.new_session("太郎") for _ in range(MAX_SESSIONS + 3)]
    kept = json.loads((tmp_path / "users.json").read_text(encoding="utf-8"))["sessions"]
    assert len(kept) == MAX_SESSIONS + 1
    assert credentials.user_of_session(tokens[2]) is None
    assert credentials.user_of_session(tokens[3]) == "太郎"
    assert credentials.user_of_session(others) == "花子"


def test_the_first_user_administers_and_whoever_is_made_to(credentials: Credentials) -> None:
    credentials.create_key("太郎")
    credentials.create_key("花子")
    credentials.set_password("次郎", "password-1", is_admin=True)
    credentials.create_key("次郎")
    assert credentials.admins() == ["太郎", "次郎"]
    assert credentials.is_admin("太郎") and not credentials.is_admin("花子")
    credentials.create_key("花子", is_admin=True)
    assert credentials.is_admin("花子")
    credentials.revoke("太郎")
    assert credentials.admins() == ["次郎", "花子"]
    credentials.create_key("太郎")  # the name alone gives nothing back
    assert not credentials.is_admin("太郎")


def test_of_an_older_file_the_first_user_administers(tmp_path: Path) -> None:
    old = {"session_secret": "x", "passwords": {"太郎": "00$00", "花子": "00$00"}, "keys": []}
    (tmp_path / "users.json").write_text(json.dumps(old), encoding="utf-8")
    credentials = Credentials(tmp_path)
    assert credentials.admins() == ["太郎"]
    credentials.create_key("花子")
    assert Credentials(tmp_path).admins() == ["太郎"]


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
