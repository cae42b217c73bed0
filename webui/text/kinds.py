"""The kinds of files that can be read: one list for picker, drop, folder, command line and API.

What a file is, is decided by its content (documents/reader/kinds.py); its ending only tells which
files of a folder are worth trying. Knows nothing about readers.
"""

from pathlib import Path

from webui.text.pages import Kind

ENDINGS: dict[Kind, tuple[str, ...]] = {
    Kind.PDF: (".pdf",),
    Kind.WORD: (".docx", ".docm", ".dotx"),
    Kind.SHEET: (".xlsx", ".xlsm", ".xltx", ".xls", ".xlsb", ".ods"),
    Kind.SLIDES: (".pptx", ".pptm", ".ppsx"),
    Kind.CSV: (".csv", ".tsv", ".tab"),
    Kind.RTF: (".rtf",),
    Kind.IMAGE: (
        ".png",
        ".jpg",
        ".jpeg",
        ".tif",
        ".tiff",
        ".webp",
        ".bmp",
        ".gif",
        ".heic",
        ".heif",
    ),  # fmt: skip
    Kind.HTML: (".html", ".htm", ".xhtml"),
    Kind.MHTML: (".mht", ".mhtml"),
    Kind.EPUB: (".epub",),
    Kind.MAIL: (".eml", ".msg"),
    Kind.TRANSCRIPT: (".vtt", ".srt"),
    Kind.MARKDOWN: (".md", ".markdown"),
    Kind.TEXT: (".txt", ".text", ".log"),
    Kind.ARCHIVE: (".zip",),
}
_BY_CONTENT = (".doc",)  # an old Word file, which is told, or an RTF, which is read
SUFFIXES = (*(ending for endings in ENDINGS.values() for ending in endings), *_BY_CONTENT)
_SHADOWS = ("~$", "._")  # locks of open files, shadows of other systems
_NOBODYS = ("Thumbs.db", "desktop.ini", "__MACOSX")


def is_readable(path: Path) -> bool:
    """Whether a file of a folder is worth trying, by its name."""
    return path.suffix.lower() in SUFFIXES and not is_shadow(path)


def is_shadow(path: Path) -> bool:
    """Nobody's file, which is not even told: hidden, or made by an operating system."""
    return path.name.startswith((".", *_SHADOWS)) or any(part in _NOBODYS for part in path.parts)
