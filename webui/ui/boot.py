"""The first bytes of the page, before Gradio's: language, colours, our modules, a skeleton.

Gradio applies its own `head=` only after it has started: too late for a first paint, for the
language and against a flash of white. Knows nothing about Gradio or HTTP.
"""

import hashlib
import html
import importlib.util
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from webui.strings import Language, text
from webui.ui.language import LANGUAGE_COOKIE, page_strings

ASSETS_DIR = Path(__file__).parent / "assets"
ASSETS_PATH = "/page"
INLINE = ("boot.js", "boot.css")  # needed before the first paint; the rest is loaded by name
HEAD, BODY = "<head>", "<gradio-app"
# Gradio's description of itself for other sites, with an address outside.
FOREIGN_META = re.compile(r'<meta\s+(property="og:|name="twitter:)[^>]*>')
KATEX = {"script": "katex-*.js", "style": "katex-*.css"}  # as Gradio's own build names them


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    media_type: str


@cache
def assets() -> dict[str, Asset]:
    """The files that the browser may load from ASSETS_PATH/<version>/, by name."""
    kinds = {".js": "text/javascript", ".css": "text/css"}
    return {
        path.name: Asset(path.read_bytes(), kinds[path.suffix])
        for path in sorted(ASSETS_DIR.iterdir())
        if path.suffix in kinds and path.name not in INLINE
    }


@cache
def version() -> str:
    """Changes when any asset does, so that browsers may keep them for ever."""
    digest = hashlib.sha256()
    for name, asset in assets().items():
        digest.update(name.encode() + asset.content)
    return digest.hexdigest()[:12]


def with_boot(page: str, language: Language) -> str:
    """Gradio's index page with our head and skeleton in it. Raises ValueError if it has no place
    for them, which a new version of Gradio could cause."""
    for place in (HEAD, BODY):
        if place not in page:
            raise ValueError(f"the page has no {place}")
    page = FOREIGN_META.sub("", page)
    page = page.replace('lang="en"', f'lang="{language}"', 1)
    page = page.replace(HEAD, HEAD + _head(language), 1)
    return page.replace(BODY, _skeleton(language) + BODY, 1)


@cache
def _head(language: Language) -> str:
    base = f"{ASSETS_PATH}/{version()}"
    about = {
        "language": language,
        "languageCookie": LANGUAGE_COOKIE,
        "strings": page_strings(language),
        "katex": _katex(),
    }
    # "</" must not end the script element early.
    settings = json.dumps(about, ensure_ascii=False).replace("</", "<\\/")
    preload = "".join(
        f'<link rel="modulepreload" href="{base}/{name}">'
        for name in assets()
        if name.endswith(".js")
    )
    return (
        f"<style>{_inline('boot.css')}</style>"
        f"<script>window.kajogaki={settings};{_inline('boot.js')}</script>"
        f'<link rel="stylesheet" href="{base}/app.css">{preload}'
        f'<script type="module" src="{base}/main.js"></script>'
        f'<link rel="icon" href="{ASSETS_PATH}/icon.svg" type="image/svg+xml">'
    )


@cache
def _skeleton(language: Language) -> str:
    """What stands where the page will be, until it is there."""
    loading = html.escape(text("ui.starting", language))
    return (
        '<div id="boot" aria-busy="true"><div class="boot-rail"></div>'
        '<div class="boot-side"></div><div class="boot-main">'
        f'<p role="status">{loading}</p><div class="boot-composer"></div></div></div>'
    )


def _inline(name: str) -> str:
    return (ASSETS_DIR / name).read_text(encoding="utf-8")


@cache
def _katex() -> dict[str, str]:
    """Addresses of the KaTeX that Gradio serves. Raises ValueError when it has none."""
    folder = gradio_assets_dir()
    found = {kind: sorted(folder.glob(pattern)) for kind, pattern in KATEX.items()}
    if not all(found.values()):
        raise ValueError(f"no KaTeX in {folder}")
    return {kind: f"/assets/{paths[0].name}" for kind, paths in found.items()}


def gradio_assets_dir() -> Path:
    """Where the installed Gradio keeps its browser files, found without importing it."""
    spec = importlib.util.find_spec("gradio")
    if spec is None or spec.origin is None:
        raise ValueError("Gradio is not installed")
    return Path(spec.origin).parent / "templates" / "frontend" / "assets"
