"""Settings: what can be set, its default and its help; file < environment < command line.

The file is `<data-dir>/settings.toml`; the environment variables are KAJOGAKI_<NAME>. Every field
says what it means in both languages; the settings table in the docs is checked against them.
"""

import argparse
import ipaddress
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from webui.errors import AppError

PROJECT_DIR = Path(__file__).parent.parent
LOCAL_USER = "local"  # the owner of everything where nobody has to log in
DATABASE = "kajogaki.db"  # in the data directory
FAMILIES = "families"  # the folder of users' own prompt families, in the data directory
ENVIRONMENT_PREFIX = "KAJOGAKI_"


class SettingsError(AppError):
    """A setting that cannot be used; the message names it."""


def _setting(default: Any, help_ja: str, help_en: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"ja": help_ja, "en": help_en, "choices": choices})


@dataclass(frozen=True, slots=True)
class Settings:
    host: str = _setting("127.0.0.1", "待ち受けるアドレス", "address to listen on")
    port: int = _setting(7860, "待ち受けるポート", "port to listen on")
    data_dir: Path = _setting(
        PROJECT_DIR / "data", "会話と設定の置き場所", "where conversations and settings live"
    )
    models_dir: Path = _setting(
        PROJECT_DIR / "models", "GGUF モデルの置き場所", "where GGUF models live"
    )
    browser: bool = _setting(
        True, "起動したらブラウザーで開く", "open the page in the browser at start"
    )
    language: str = _setting(
        "ja", "端末に出す文の言語", "language of messages in the terminal", ("ja", "en")
    )
    log_level: str = _setting(
        "WARNING", "ログの細かさ", "log level", ("DEBUG", "INFO", "WARNING", "ERROR")
    )
    model: str = _setting("", "最初に使うモデル", "model to start with")
    n_ctx: int = _setting(
        0,
        "文脈の長さ（全員で分け合うトークン数。0 はモデルに合わせて最大 8192）",
        "context in tokens, shared by everybody (0 = the model's own, at most 8192)",
    )
    n_slots: int = _setting(8, "同時に処理する数", "requests computed at the same time")
    n_batch: int = _setting(512, "一度に計算するトークン数", "tokens computed in one step")
    n_threads: int = _setting(
        0,
        "計算に使うスレッド数の上限（0 は物理コア数）。ほかのプログラムが忙しいときは減らします",
        "threads at most (0 = physical cores); fewer while other programs are busy",
    )
    n_gpu_layers: int = _setting(
        -1, "GPU に置く層の数（-1 はすべて）", "layers on the GPU (-1 = all)"
    )
    flash_attn: str = _setting("auto", "Flash Attention", "flash attention", ("auto", "on", "off"))
    kv_type: str = _setting("f16", "KV キャッシュの型", "type of the KV cache", ("f16", "q8_0"))
    cache_mb: int = _setting(
        -1,
        "待っている会話を計算の外に取っておくメモリ（モデルごとの MB。-1 は搭載量の 1/16）",
        "memory for chats that wait, outside the KV cache (MB per model; -1 = 1/16 of the RAM)",
    )
    mmap: bool = _setting(True, "モデルを mmap で読む", "map the model file into memory")
    mlock: bool = _setting(False, "モデルを RAM に固定する", "keep the model in RAM")
    memory_gb: float = _setting(
        0.0,
        "読み込むモデル全体で使うメモリの上限（GiB。0 は搭載量の 8 割）",
        "memory for all loaded models together, in GiB (0 = 80 % of the machine's)",
    )
    idle_minutes: int = _setting(
        30,
        "使われないモデルをメモリから降ろすまでの分数（0 は降ろさない）",
        "minutes until an unused model is unloaded (0 = never)",
    )
    max_waiting: int = _setting(
        1000, "順番を待てる要求の数（超えると 429）", "requests that may wait in all (more get 429)"
    )
    max_waiting_per_user: int = _setting(
        32,
        "一人あたりの順番を待てる要求の数（ログインを求めるとき）",
        "requests of one user that may wait, where users log in",
    )
    login: str = _setting(
        "auto",
        "ログインを求めるか（auto は 127.0.0.1 以外で待ち受けるとき）",
        "whether to ask for a login (auto = when listening on more than 127.0.0.1)",
        ("auto", "on"),
    )
    names: str = _setting(
        "",
        "このサーバーに付けた名前（コンマ区切り。Host の確認に使う）",
        "names under which this server answers, separated by commas (for the Host check)",
    )
    proxy: str = _setting(
        "",
        "前に立つリバースプロキシのアドレス（コンマ区切り。X-Forwarded-For を信じる相手）",
        "addresses of the reverse proxy in front, whose X-Forwarded-For is believed",
    )
    origins: str = _setting(
        "",
        "API を使えるほかのサイトやアプリ（コンマ区切り。例: app://obsidian.md）",
        "other sites and apps that may use the API, separated by commas (as app://obsidian.md)",
    )
    embedder: str = _setting(
        "",
        "資料の検索に使う埋め込みモデル（名前かフォルダー。空は入っているもの、off は使わない）",
        "embedding model for searching documents (id or folder; empty = what is here, off = none)",
    )
    reranker: str = _setting(
        "",
        "見つかった箇所を並べ替えるモデル（名前かフォルダー。空は入っているもの、off は使わない）",
        "model that reranks what was found (id or folder; empty = what is here, off = none)",
    )
    milvus: str = _setting(
        "",
        "ベクトルを置く Milvus（URL か milvus-lite のファイル。空はこのアプリの中の FAISS）",
        "Milvus for the vectors (URL or milvus-lite file; empty = FAISS inside the app)",
    )
    convert_from: str = _setting(
        "",
        "ページから変換できるモデルのあるフォルダー（コンマ区切り。"
        "空はモデルの置き場所と、ログインのないときはホーム）",
        "folders whose models the page may convert, separated by commas "
        "(empty = the models folder, and without a login the home folder)",
    )
    responses_kept: int = _setting(
        200,
        "続きを書けるように覚えておく /v1/responses の回答の数（0 は覚えない。再起動で消える）",
        "answers of /v1/responses kept in memory to be continued (0 = none)",
    )
    documents_gb: float = _setting(
        20.0,
        "一人の資料のファイルが使える容量（GB。0 は無制限）",
        "gigabytes that the files of one user's documents may take (0 = no limit)",
    )
    tokens_per_minute: int = _setting(
        0,
        "API で一人が 1 分に使えるトークン数（0 は無制限）",
        "tokens a minute that one user may use through the API (0 = no limit)",
    )

    def __post_init__(self) -> None:
        _check_range("port", self.port, 0, 65535)
        _check_range("n_ctx", self.n_ctx or 256, 256, 1 << 24)  # 0 = the model's own
        _check_range("n_slots", self.n_slots, 1, 64)
        _check_range("n_batch", self.n_batch, 32, 8192)
        _check_range("n_threads", self.n_threads, 0, 1024)
        _check_range("n_gpu_layers", self.n_gpu_layers, -1, 10_000)
        _check_range("memory_gb", self.memory_gb, 0, 1 << 20)
        _check_range("idle_minutes", self.idle_minutes, 0, 1 << 20)
        _check_range("max_waiting", self.max_waiting, 1, 10_000)
        _check_range("max_waiting_per_user", self.max_waiting_per_user, 1, 10_000)
        _check_range("responses_kept", self.responses_kept, 0, 100_000)
        _check_range("documents_gb", self.documents_gb, 0, 1 << 20)
        _check_range("tokens_per_minute", self.tokens_per_minute, 0, 1 << 40)
        _check_addresses("proxy", self.proxy)
        for item in fields(self):
            choices = item.metadata["choices"]
            if choices and getattr(self, item.name) not in choices:
                raise SettingsError(
                    "app.bad_choice",
                    name=item.name,
                    value=getattr(self, item.name),
                    choices=", ".join(choices),
                )


def load_settings(
    command_line: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> Settings:
    """Settings from defaults, file, environment and command line, later ones winning.

    `command_line` holds only what was given. Raises SettingsError naming what cannot be used.
    """
    from_environment = {
        item.name: environment[ENVIRONMENT_PREFIX + item.name.upper()]
        for item in fields(Settings)
        if ENVIRONMENT_PREFIX + item.name.upper() in environment
    }
    chosen = {**from_environment, **command_line}
    data_dir = Path(chosen.get("data_dir", Settings().data_dir))
    values = {**_read_file(data_dir / "settings.toml"), **chosen}
    kinds = {item.name: item.type for item in fields(Settings)}
    return Settings(**{name: _convert(name, kinds[name], raw) for name, raw in values.items()})


def add_arguments(parser: argparse.ArgumentParser, language: str) -> None:
    """One option per setting; booleans as --name / --no-name."""
    for item in fields(Settings):
        option = "--" + item.name.replace("_", "-")
        text = f"{item.metadata[language]} [{item.default}]".replace("%", "%%")
        if item.type is bool:
            parser.add_argument(
                option, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=text
            )
        else:
            parser.add_argument(option, default=argparse.SUPPRESS, help=text, metavar="…")


def _read_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError("app.bad_settings_file", path=path, reason=error) from error
    unknown = set(values) - {item.name for item in fields(Settings)}
    if unknown:
        raise SettingsError("app.unknown_setting", name=", ".join(sorted(unknown)), path=path)
    return values


def _convert(name: str, kind: Any, raw: Any) -> Any:
    if kind is bool and isinstance(raw, str):
        if raw.lower() in ("1", "true", "yes", "on"):
            return True
        if raw.lower() in ("0", "false", "no", "off"):
            return False
        raise SettingsError("app.bad_value", name=name, value=raw)
    try:
        return raw if isinstance(raw, kind) else kind(raw)
    except (TypeError, ValueError) as error:
        raise SettingsError("app.bad_value", name=name, value=raw) from error


def _check_range(name: str, value: float, low: int, high: int) -> None:
    if not low <= value <= high:
        raise SettingsError("app.bad_value", name=name, value=value)


def _check_addresses(name: str, value: str) -> None:
    """Addresses or networks, separated by commas; "*" would believe everybody."""
    for part in filter(None, map(str.strip, value.split(","))):
        try:
            ipaddress.ip_network(part)
        except ValueError as error:
            raise SettingsError("app.bad_value", name=name, value=value) from error
