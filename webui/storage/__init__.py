"""SQLite's only door: conversations, their message trees, presets and settings, per owner.

Everything outside imports from here; `sqlite3` is imported only inside this package. Knows
nothing about models, prompts, tokens or the page.

    database.py       connections, transactions, which failure becomes which sentence
    migrations.py     the schema, as numbered steps
    texts.py          cleaning, search keys, snippets (pure)
    stored.py         what rows hold, as the kind of value it should be (pure)
    json_size.py      how much a JSON text would become (pure)
    values.py         the frozen values that callers get
    conversations.py  rows of the table `conversations`, and search
    messages.py       the message tree
    archive.py        the JSON export: its shape, its strict validation (pure)
    summaries.py      summaries, their finished parts and results
    documents.py      collections, documents, pages, chunks, keyword search
    vectors.py        vectors of chunks, per embedding model
    postings.py       the keyword index: segments of postings, BM25
    grams.py          what the keyword index holds, and queries over it (pure)
    preferences.py    sampling presets and small settings
    storage.py        Storage: owner checks and one transaction per call
"""

from webui.storage.archive import InvalidExportError, Meanings, read_choice
from webui.storage.conversations import NotFoundError
from webui.storage.database import StorageError
from webui.storage.documents import (
    ChunkRow,
    Collection,
    Document,
    Documents,
    DocumentStatus,
    PageRow,
)
from webui.storage.postings import KeywordHits
from webui.storage.storage import Storage
from webui.storage.summaries import Summaries, SummaryRecord
from webui.storage.texts import TextTooLongError, place_of
from webui.storage.values import (
    Conversation,
    ConversationSummary,
    DocumentChoice,
    Message,
    Role,
    Status,
)
from webui.storage.vectors import EmbedderRow, VectorRow, Vectors

__all__ = [
    "ChunkRow",
    "Collection",
    "Conversation",
    "ConversationSummary",
    "Document",
    "DocumentChoice",
    "DocumentStatus",
    "Documents",
    "EmbedderRow",
    "InvalidExportError",
    "KeywordHits",
    "Meanings",
    "Message",
    "NotFoundError",
    "PageRow",
    "Role",
    "Status",
    "Storage",
    "StorageError",
    "Summaries",
    "SummaryRecord",
    "TextTooLongError",
    "VectorRow",
    "Vectors",
    "read_choice",
    "place_of",
]
