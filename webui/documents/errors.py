"""DocumentError: why a document cannot be read, as one sentence for its owner."""

from webui.errors import AppError


class DocumentError(AppError):
    """The document, or what was asked of it, cannot be used. Keys are `documents.*`."""


class PasswordNeededError(DocumentError):
    """The file is encrypted; ask for its password. `was_given`: the one that came was wrong."""

    def __init__(self, was_given: bool) -> None:
        super().__init__("documents.password_wrong" if was_given else "documents.password_needed")
        self.was_given = was_given
