"""Named sampling presets and small settings, per owner. Knows nothing about what they mean."""

import sqlite3
from typing import Any

from webui.storage.conversations import NotFoundError
from webui.storage.stored import stored_object
from webui.storage.texts import clean, clean_title, to_json


def presets(db: sqlite3.Connection, owner: str) -> dict[str, dict[str, Any]]:
    rows = db.execute(
        "SELECT name, sampling FROM presets WHERE owner = ? ORDER BY name", (clean(owner),)
    )
    return {name: stored_object(sampling) for name, sampling in rows}


def save_preset(db: sqlite3.Connection, owner: str, name: str, values: dict[str, Any]) -> None:
    db.execute(
        "INSERT OR REPLACE INTO presets (owner, name, sampling) VALUES (?, ?, ?)",
        (clean(owner), clean_title(name), to_json(values)),
    )


def delete_preset(db: sqlite3.Connection, owner: str, name: str) -> None:
    deleted = db.execute(
        "DELETE FROM presets WHERE owner = ? AND name = ?", (clean(owner), clean_title(name))
    )
    if deleted.rowcount == 0:
        raise NotFoundError


def setting(db: sqlite3.Connection, owner: str, key: str, default: str) -> str:
    row = db.execute(
        "SELECT value FROM settings WHERE owner = ? AND key = ?", (clean(owner), clean(key))
    ).fetchone()
    return default if row is None else str(row[0])


def set_setting(db: sqlite3.Connection, owner: str, key: str, value: str) -> None:
    db.execute(
        "INSERT OR REPLACE INTO settings (owner, key, value) VALUES (?, ?, ?)",
        (clean(owner), clean(key), clean(value)),
    )
