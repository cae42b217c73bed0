"""ConvertError: why a folder cannot become a GGUF. Knows nothing about how it would."""

from webui.errors import AppError


class ConvertError(AppError):
    """This folder cannot be converted; the sentence says why and what to do."""
