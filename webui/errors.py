"""AppError: an error that is safe to show to the user, in their language.

Subclasses live in the module that raises them.
"""

from webui.strings import Language, text


class AppError(Exception):
    """One clear sentence that says what to do next; `key` names it in strings.toml."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key, values)
        self.key = key
        self.values = values

    def message(self, language: Language = Language.JA) -> str:
        return text(self.key, language, **self.values)

    def __str__(self) -> str:
        return self.message(Language.EN)
