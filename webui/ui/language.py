"""The reader's language, and the page's strings in it. Knows nothing about Gradio."""

from collections.abc import Mapping

from webui.strings import Language, table

LANGUAGE_COOKIE = "kajogaki_language"
PAGE_SECTION = "ui."


def language_of(cookies: Mapping[str, str]) -> Language:
    """The language chosen in this browser; Japanese until one is."""
    chosen = cookies.get(LANGUAGE_COOKIE, "")
    return Language(chosen) if chosen in set(Language) else Language.JA


def page_strings(language: Language) -> dict[str, str]:
    """Every [ui] string by its short name, for the browser's modules and Gradio's labels."""
    return {
        key.removeprefix(PAGE_SECTION): languages[language]
        for key, languages in table().items()
        if key.startswith(PAGE_SECTION)
    }
