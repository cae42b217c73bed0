"""Which documents a conversation answers from: from a client's event, and as the page shows it."""

from typing import Any

from webui.storage import DocumentChoice, Documents, InvalidExportError, read_choice
from webui.ui.chat.conversation import BadRequestError


def choice_of(data: object) -> DocumentChoice:
    """`documents` of a client's event; off when it is missing. Raises BadRequestError.

    Ids are looked up among the owner's when something is asked; unknown ones find nothing.
    """
    given = data.get("documents") if isinstance(data, dict) else None
    if given is None:
        return DocumentChoice()
    try:
        return read_choice(given)
    except InvalidExportError as error:
        raise BadRequestError("ui.bad_request") from error


def choices_view(documents: Documents, owner: str) -> list[dict[str, Any]]:
    """All collections with the names of what is in them."""
    names: dict[str, list[dict[str, str]]] = {}
    for one in documents.documents(owner):
        names.setdefault(one.collection_id, []).append({"id": one.id, "name": one.name})
    return [
        {"id": one.id, "name": one.name, "documents": names.get(one.id, [])}
        for one in documents.collections(owner)
    ]
