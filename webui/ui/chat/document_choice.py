"""Which documents a conversation answers from: from a client's event, and as the page shows it."""

from typing import Any

from webui.storage import DocumentChoice, Documents
from webui.ui.chat.conversation import BadRequestError

MAX_CHOSEN = 500
MAX_ID_CHARS = 100


def choice_of(data: object) -> DocumentChoice:
    """`documents` of a client's event; off when it is missing. Raises BadRequestError.

    Ids are looked up among the owner's when something is asked; unknown ones find nothing.
    """
    given = data.get("documents") if isinstance(data, dict) else None
    if given is None:
        return DocumentChoice()
    if not isinstance(given, dict) or not isinstance(given.get("is_on"), bool):
        raise BadRequestError("ui.bad_request")
    return DocumentChoice(
        given["is_on"], _ids(given.get("collection_ids")), _ids(given.get("document_ids"))
    )


def _ids(given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or len(given) > MAX_CHOSEN:
        raise BadRequestError("ui.bad_request")
    if not all(isinstance(one, str) and len(one) <= MAX_ID_CHARS for one in given):
        raise BadRequestError("ui.bad_request")
    return tuple(given)


def choices_view(documents: Documents, owner: str) -> list[dict[str, Any]]:
    """All collections with the names of what is in them."""
    names: dict[str, list[dict[str, str]]] = {}
    for one in documents.documents(owner):
        names.setdefault(one.collection_id, []).append({"id": one.id, "name": one.name})
    return [
        {"id": one.id, "name": one.name, "documents": names.get(one.id, [])}
        for one in documents.collections(owner)
    ]
