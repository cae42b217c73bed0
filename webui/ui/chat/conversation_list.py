"""The sidebar's list: conversations by date, found by search. Knows nothing about Gradio.

Titles and snippets leave here as plain text; the browser puts them into text nodes only.
"""

from collections.abc import Sequence
from datetime import date, datetime
from itertools import groupby
from typing import TypedDict

from webui.application import Application
from webui.storage import ConversationSummary, place_of
from webui.strings import Language, text

PAGE_SIZE = 100
MAX_SIZE = 999  # storage lists at most a thousand; older ones are found by search
MAX_QUERY_CHARS = 200


class ItemView(TypedDict):
    id: str
    title: str
    snippet: str
    mark: list[int]  # [start, end) of what was searched for in the snippet; [] for none


class GroupView(TypedDict):
    label: str
    items: list[ItemView]


class ListView(TypedDict):
    groups: list[GroupView]
    query: str
    size: int
    has_more: bool


def list_view(
    application: Application,
    owner: str,
    language: Language,
    query: str = "",
    size: int = PAGE_SIZE,
) -> ListView:
    """The newest `size` conversations, or those that contain `query`."""
    query, size = query[:MAX_QUERY_CHARS], max(1, min(size, MAX_SIZE))
    found = application.storage.conversations(owner, query.strip(), limit=size + 1)
    today = date.today()
    return ListView(
        groups=[
            GroupView(
                label=label, items=[_item_view(item, query.strip(), language) for item in items]
            )
            for label, items in _by_date(found[:size], today, language)
        ],
        query=query,
        size=size,
        has_more=len(found) > size,
    )


def date_label(day: date, today: date, language: Language) -> str:
    """今日, 昨日, the past 7 and 30 days, then the month."""
    age = (today - day).days
    if age <= 0:
        return text("ui.today", language)
    if age == 1:
        return text("ui.yesterday", language)
    if age <= 7:
        return text("ui.past_week", language)
    if age <= 30:
        return text("ui.past_month", language)
    return text("ui.month", language, year=day.year, month=day.month)


def _by_date(
    found: Sequence[ConversationSummary], today: date, language: Language
) -> list[tuple[str, list[ConversationSummary]]]:
    def label(item: ConversationSummary) -> str:
        return date_label(datetime.fromtimestamp(item.updated_at).date(), today, language)

    return [(name, list(items)) for name, items in groupby(found, key=label)]


def _item_view(item: ConversationSummary, query: str, language: Language) -> ItemView:
    title = item.title or text("ui.untitled", language)
    place = place_of(query, item.snippet) if item.snippet else None
    return ItemView(id=item.id, title=title, snippet=item.snippet, mark=list(place or ()))
