"""Credentials: who may log in, and who administers, in one file of hashes: <data-dir>/users.json.

Users are made on the command line; the server reads the file at every change, so a revoked key is
refused at once. A session is a random token of which the file keeps the hash: it ends for good
when it is taken out, and whoever reads the file can make none. Knows nothing about HTTP.
"""

import hashlib
import hmac
import json
import os
import secrets
import time
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from webui.config import Settings
from webui.errors import AppError

FILE_NAME = "users.json"
KEY_PREFIX = "kjg-"
MIN_PASSWORD_CHARS = 8
MAX_PASSWORD_CHARS = 1000
MAX_USER_CHARS = 64
SESSION_S = 30 * 24 * 3600
MAX_SESSIONS = 50  # of one user; the oldest goes
SCRYPT = {"n": 1 << 14, "r": 8, "p": 1, "dklen": 32}  # 16 MiB and 50 ms a try
LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")


class CredentialsError(AppError):
    """A name, a password or a key that cannot be used; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it is kept. Its secret is known only to whoever got it."""

    id: str
    user: str
    hash: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody's login in one browser. Its token is known only to that browser."""

    hash: str
    user: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Users:
    passwords: dict[str, str] = field(default_factory=dict)  # user: salt$hash
    keys: tuple[Key, ...] = ()
    sessions: tuple[Session, ...] = ()  # oldest first
    admins: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.passwords) | {key.user for key in self.keys}


def login_needed(settings: Settings) -> bool:
    """Whoever can reach only 127.0.0.1 sits at this machine."""
    return settings.login == "on" or settings.host not in LOCAL_HOSTS


def max_waiting_of_one(settings: Settings) -> int:
    """Requests of one owner that may wait. Where nobody logs in, everybody is one owner."""
    return settings.max_waiting_per_user if login_needed(settings) else settings.max_waiting


class Credentials:
    """Thread-safe; several processes may use one file."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE_NAME
        self._lock = FileLock(data_dir / (FILE_NAME + ".lock"), mode=0o600)
        self._read: tuple[tuple[int, int, int], _Users] | None = None

    # --- for the command line --------------------------------------------------------------------

    def create_key(self, user: str, *, is_admin: bool = False) -> tuple[Key, str]:
        """A new key and its secret, which cannot be had again. Raises CredentialsError."""
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        key = Key(secrets.token_hex(4), _checked_user(user), _secret_hash(secret), time.time())

        def add(users: _Users) -> _Users:
            users = _with_admin(users, key.user, is_admin)
            return replace(users, keys=(*users.keys, key))

        self._change(add)
        return key, secret

    def set_password(self, user: str, password: str, *, is_admin: bool = False) -> None:
        """For the page. Ends the user's sessions. Raises CredentialsError."""
        name = _checked_user(user)
        if not MIN_PASSWORD_CHARS <= len(password) <= MAX_PASSWORD_CHARS:
            raise CredentialsError("login.password_length", least=MIN_PASSWORD_CHARS)
        made = _password_hash(password, secrets.token_bytes(16))

        def put(users: _Users) -> _Users:
            users = _with_admin(users, name, is_admin)
            kept = tuple(session for session in users.sessions if session.user != name)
            return replace(users, passwords={**users.passwords, name: made}, sessions=kept)

        self._change(put)

    def keys(self) -> tuple[Key, ...]:
        return self._users().keys

    def users_with_password(self) -> list[str]:
        return sorted(self._users().passwords)

    def admins(self) -> list[str]:
        return sorted(self._users().admins)

    def revoke(self, id_or_user: str) -> int:
        """Take back one key by its id, or all keys and the password of a user; how many went.

        Raises CredentialsError when there is no such key or user.
        """
        num_gone = 0

        def take(users: _Users) -> _Users:
            nonlocal num_gone
            kept = tuple(key for key in users.keys if id_or_user not in (key.id, key.user))
            passwords = {n: value for n, value in users.passwords.items() if n != id_or_user}
            num_gone = len(users.keys) - len(kept) + len(users.passwords) - len(passwords)
            if not num_gone:
                raise CredentialsError("login.no_such_key", id=id_or_user[:80])
            sessions = tuple(one for one in users.sessions if one.user in passwords)
            left = replace(users, keys=kept, passwords=passwords, sessions=sessions)
            return replace(left, admins=tuple(name for name in users.admins if name in left.names))

        self._change(take)
        return num_gone

    # --- for the server --------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        users = self._users()
        return not users.keys and not users.passwords

    def user_of_key(self, secret: str) -> str | None:
        """Whose key it is; None for a wrong or revoked one."""
        wanted = _secret_hash(secret)
        found = [key.user for key in self._users().keys if hmac.compare_digest(key.hash, wanted)]
        return found[0] if found else None

    def is_admin(self, user: str) -> bool:
        """Whether the user may change what everybody shares: models, their files, settings."""
        return user in self._users().admins

    def is_password(self, user: str, password: str) -> bool:
        """Slow on purpose: call it in a thread. As slow for a user that does not exist."""
        kept = self._users().passwords.get(unicodedata.normalize("NFKC", user), "00$")
        salt = bytes.fromhex(kept.partition("$")[0])
        return hmac.compare_digest(_password_hash(password[:MAX_PASSWORD_CHARS], salt), kept)

    def new_session(self, user: str) -> str:
        """A token for a user who has just proved to be one. Writes: call it in a thread."""
        name, now = unicodedata.normalize("NFKC", user), time.time()
        token = secrets.token_urlsafe(32)
        session = Session(_secret_hash(token), name, now + SESSION_S)

        def add(users: _Users) -> _Users:
            kept = [one for one in users.sessions if one.expires_at > now]
            own = [one for one in kept if one.user == name]
            too_many = set(own[: max(0, len(own) + 1 - MAX_SESSIONS)])
            sessions = (*(one for one in kept if one not in too_many), session)
            return replace(users, sessions=sessions)

        self._change(add)
        return token

    def end_session(self, token: str) -> None:
        """From now on the token opens nothing. Writes: call it in a thread."""
        ended = _secret_hash(token)
        if any(session.hash == ended for session in self._users().sessions):
            self._change(
                lambda users: replace(
                    users, sessions=tuple(one for one in users.sessions if one.hash != ended)
                )
            )

    def user_of_session(self, token: str) -> str | None:
        """None when it is unknown, ended, expired, or older than the user's password."""
        wanted, users = _secret_hash(token), self._users()
        for session in users.sessions:
            if hmac.compare_digest(session.hash, wanted):
                is_valid = session.user in users.passwords and session.expires_at > time.time()
                return session.user if is_valid else None
        return None

    # --- the file --------------------------------------------------------------------------------

    def _users(self) -> _Users:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return self._change(lambda users: users)
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if self._read is None or self._read[0] != stamp:
            self._read = (stamp, self._load())
        return self._read[1]

    def _load(self) -> _Users:
        try:
            return _users_from(json.loads(self._path.read_text(encoding="utf-8-sig")))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise CredentialsError("login.bad_file", path=self._path) from error

    def _change(self, change: Callable[[_Users], _Users]) -> _Users:
        """Write the file anew, whole or not at all."""
        with self._lock:
            old = self._load() if self._path.exists() else _Users()
            users = change(old)
            new_path = self._path.with_suffix(".new")
            descriptor = os.open(new_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(users), file, ensure_ascii=False, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new_path, self._path)
        return users


def _users_from(values: Any) -> _Users:
    """Of a file from before there were administrators, the first user is one."""
    passwords = {str(name): str(value) for name, value in dict(values["passwords"]).items()}
    keys = tuple(Key(**key) for key in values["keys"])
    sessions = tuple(Session(**session) for session in values.get("sessions", ()))
    first = [*passwords, *(key.user for key in keys)][:1]
    return _Users(passwords, keys, sessions, tuple(map(str, values.get("admins", first))))


def _with_admin(users: _Users, name: str, is_admin: bool) -> _Users:
    """`name` among the administrators if wanted, or if it is the first user of all."""
    if name in users.admins or not (is_admin or not users.names):
        return users
    return replace(users, admins=(*users.admins, name))


def _checked_user(user: str) -> str:
    name = unicodedata.normalize("NFKC", user).strip()
    if not name or len(name) > MAX_USER_CHARS or not name.isprintable():
        raise CredentialsError("login.bad_user", limit=MAX_USER_CHARS)
    return name


def _secret_hash(secret: str) -> str:
    """Unsalted and fast: a key or token is 256 random bits, not something a person thought of."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _password_hash(password: str, salt: bytes) -> str:
    data = unicodedata.normalize("NFKC", password).encode("utf-8", "replace")
    digest = hashlib.scrypt(data, salt=salt or b"\0", **SCRYPT)
    return f"{salt.hex()}${digest.hex()}"
