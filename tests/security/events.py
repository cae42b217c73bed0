"""The page's events, called as a client that is no browser calls them."""

import json
import re
from typing import Any

import httpx


def page_config(client: httpx.Client) -> dict[str, Any]:
    """What Gradio's page knows of itself: components and events."""
    found = re.search(r"window\.gradio_config = (\{.*?\});</script>", client.get("/").text)
    assert found, "the page has no configuration in it"
    config: dict[str, Any] = json.loads(found[1])
    return config


class Events:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.all = {event["api_name"]: event for event in page_config(client)["dependencies"]}

    def call(self, name: str, data: Any, *values: Any) -> httpx.Response:
        event = self.all[name]
        body = {
            "data": list(values) or [None] * len(event["inputs"]),
            "fn_index": event["id"],
            "session_hash": "security-test",
            "event_data": data,
        }
        if not event["queue"]:
            return self._client.post("/gradio_api/run/predict", json=body)
        assert self._client.post("/gradio_api/queue/join", json=body).status_code == 200
        return self._client.get("/gradio_api/queue/data", params={"session_hash": "security-test"})
