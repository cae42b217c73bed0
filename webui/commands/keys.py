"""`keys create|list|revoke`: who may log in to page and API."""

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from webui.config import Settings
from webui.credentials import Credentials, Key
from webui.private import make_private
from webui.strings import Language, text

AddSettings = Callable[[argparse.ArgumentParser], None]


def add_parser(commands: Any, language: Language, add_settings: AddSettings) -> None:
    parser = commands.add_parser("keys", help=text("commands.keys_help", language))
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help=text("commands.keys_create_help", language))
    create.add_argument("user", metavar="NAME", help=text("commands.user_help", language))
    create.add_argument(
        "--password", action="store_true", help=text("commands.password_help", language)
    )
    create.add_argument("--admin", action="store_true", help=text("commands.admin_help", language))
    listed = actions.add_parser("list", help=text("commands.keys_list_help", language))
    revoke = actions.add_parser("revoke", help=text("commands.keys_revoke_help", language))
    revoke.add_argument("key", metavar="ID|NAME", help=text("commands.key_help", language))
    for action, run in ((create, _create), (listed, _list), (revoke, _revoke)):
        action.add_argument(
            "--json", action="store_true", help=text("commands.json_help", language)
        )
        action.set_defaults(run=run)
        add_settings(action)


def _create(settings: Settings, options: argparse.Namespace) -> int:
    language = Language(settings.language)
    make_private(settings.data_dir)
    credentials = Credentials(settings.data_dir)
    if options.password:
        credentials.set_password(options.user, _password(language), is_admin=options.admin)
        _say(
            options,
            {"user": options.user},
            text("commands.password_set", language, user=options.user),
        )
        return 0
    key, secret = credentials.create_key(options.user, is_admin=options.admin)
    shown = {**_shown(key), "key": secret}
    _say(options, shown, text("commands.key_created", language, user=key.user) + f"\n{secret}")
    return 0


def _list(settings: Settings, options: argparse.Namespace) -> int:
    credentials = Credentials(settings.data_dir)
    with_password = credentials.users_with_password()
    admins = credentials.admins()
    keys = [_shown(key) for key in credentials.keys()]
    rows = [(key["id"], key["created_at"][:10], key["user"]) for key in keys]
    rows += [("-" * 8, "(password)", user) for user in with_password]
    lines = [
        f"{first}  {second:10}  {user}" + ("  (admin)" if user in admins else "")
        for first, second, user in rows
    ]
    shown = {"keys": keys, "passwords": with_password, "admins": admins}
    _say(options, shown, "\n".join(lines))
    return 0


def _revoke(settings: Settings, options: argparse.Namespace) -> int:
    num_gone = Credentials(settings.data_dir).revoke(options.key)
    language = Language(settings.language)
    _say(options, {"revoked": num_gone}, text("commands.revoked", language, count=num_gone))
    return 0


def _password(language: Language) -> str:
    """Asked for twice at a terminal; from a pipe, its first line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    while True:
        first = getpass.getpass(text("commands.ask_password", language))
        if first == getpass.getpass(text("commands.ask_again", language)):
            return first
        print(text("commands.passwords_differ", language), file=sys.stderr)


def _shown(key: Key) -> dict[str, str]:
    """Without the hash."""
    created_at = datetime.fromtimestamp(key.created_at).astimezone().isoformat(timespec="seconds")
    return {"id": key.id, "user": key.user, "created_at": created_at}


def _say(options: argparse.Namespace, as_json: dict[str, Any], sentence: str) -> None:
    print(json.dumps(as_json, ensure_ascii=False) if options.json else sentence)
