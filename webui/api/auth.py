"""Who is asking. Nobody has to log in where only this machine can reach the server."""

from starlette.requests import Request

from webui.application import LOCAL_USER

USER = "kajogaki.user"  # in the scope of a request that has passed the gate


def owner_of(request: Request) -> str:
    """Whose chats, documents and limits this request is about."""
    return str(request.scope.get(USER, LOCAL_USER))
