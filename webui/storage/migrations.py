"""The schema, as numbered steps that are never edited once released: a change is a new step.

A database records in `user_version` how many steps it has taken.
"""

# "KAJO": tells our databases from other programs' SQLite files.
APPLICATION_ID = 0x4B414A4F

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE conversations (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            owner TEXT NOT NULL,
            title TEXT NOT NULL,
            title_key BLOB NOT NULL,                -- texts.search_key(title)
            title_is_auto INTEGER NOT NULL,
            system_prompt TEXT NOT NULL,
            sampling TEXT NOT NULL,                 -- JSON object
            model_id TEXT NOT NULL,
            leaf_id TEXT REFERENCES messages (id) ON DELETE SET NULL,
            created_at REAL NOT NULL,
            updated_at REAL NOT NULL,
            deleted_at REAL                         -- NULL = visible
        )
        """,
        """
        CREATE INDEX conversations_by_owner ON conversations (owner, updated_at, number)
        WHERE deleted_at IS NULL
        """,
        "CREATE INDEX conversations_by_leaf ON conversations (leaf_id)",
        # Invariant: a child's number is greater than its parent's.
        """
        CREATE TABLE messages (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
            parent_id TEXT REFERENCES messages (id),
            role TEXT NOT NULL,
            status TEXT NOT NULL,
            model_id TEXT NOT NULL,
            stats TEXT NOT NULL,                    -- JSON object
            created_at REAL NOT NULL,
            reasoning TEXT NOT NULL,
            content TEXT NOT NULL
        )
        """,
        "CREATE INDEX messages_by_conversation ON messages (conversation_id)",
        "CREATE INDEX messages_by_parent ON messages (parent_id, conversation_id)",
        "CREATE INDEX messages_being_written ON messages (status) WHERE status = 'writing'",
        # Apart from the messages, so that a search reads these pages only.
        """
        CREATE TABLE message_keys (
            message_number INTEGER PRIMARY KEY REFERENCES messages (number) ON DELETE CASCADE,
            key BLOB NOT NULL                       -- texts.search_key(content)
        )
        """,
        """
        CREATE TABLE presets (
            owner TEXT NOT NULL,
            name TEXT NOT NULL,
            sampling TEXT NOT NULL,                 -- JSON object
            PRIMARY KEY (owner, name)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE settings (
            owner TEXT NOT NULL,
            key TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (owner, key)
        ) WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE summaries (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            owner TEXT NOT NULL,
            key TEXT NOT NULL,                      -- of text, settings, model and plan
            title TEXT NOT NULL,
            model_id TEXT NOT NULL,
            settings TEXT NOT NULL,                 -- JSON object
            source TEXT NOT NULL,                   -- JSON object: the text and its pages
            status TEXT NOT NULL,
            result TEXT NOT NULL,                   -- JSON object, {} until complete
            num_parts INTEGER NOT NULL,
            created_at REAL NOT NULL,
            updated_at REAL NOT NULL,
            deleted_at REAL                         -- NULL = visible
        )
        """,
        "CREATE INDEX summaries_by_owner ON summaries (owner, updated_at)",
        "CREATE INDEX summaries_by_key ON summaries (owner, key)",
        """
        CREATE TABLE summary_parts (
            summary_number INTEGER NOT NULL REFERENCES summaries (number) ON DELETE CASCADE,
            stage INTEGER NOT NULL,                 -- 0 = sections, then each round of merging
            position INTEGER NOT NULL,
            value TEXT NOT NULL,                    -- JSON object
            PRIMARY KEY (summary_number, stage, position)
        ) WITHOUT ROWID
        """,
    ),
    (
        """
        CREATE TABLE collections (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            owner TEXT NOT NULL,
            name TEXT NOT NULL,
            created_at REAL NOT NULL
        )
        """,
        "CREATE INDEX collections_by_owner ON collections (owner)",
        """
        CREATE TABLE documents (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            owner TEXT NOT NULL,
            collection_number INTEGER NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
            name TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            num_bytes INTEGER NOT NULL,
            status TEXT NOT NULL,
            kind TEXT NOT NULL,                     -- "" until read
            problem TEXT NOT NULL,                  -- JSON: [key, values] of an AppError, or []
            num_pages INTEGER NOT NULL,
            num_chunks INTEGER NOT NULL,
            created_at REAL NOT NULL,
            updated_at REAL NOT NULL,
            UNIQUE (collection_number, sha256)
        )
        """,
        "CREATE INDEX documents_by_owner ON documents (owner)",
        "CREATE INDEX documents_by_status ON documents (status) WHERE status != 'ready'",
        """
        CREATE TABLE pages (
            document_number INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
            page INTEGER NOT NULL,
            text TEXT NOT NULL,
            places BLOB NOT NULL,                   -- where its characters stand
            width REAL NOT NULL,
            height REAL NOT NULL,
            continues INTEGER NOT NULL,
            problem TEXT NOT NULL,
            UNIQUE (document_number, page)
        )
        """,
        # AUTOINCREMENT: a number is never used again, so a stale vector names nothing.
        """
        CREATE TABLE chunks (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            document_number INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
            page_from INTEGER NOT NULL,
            char_from INTEGER NOT NULL,
            page_to INTEGER NOT NULL,
            char_to INTEGER NOT NULL,
            title TEXT NOT NULL,
            text TEXT NOT NULL,
            indexed TEXT NOT NULL                   -- document name and title, as in the index
        )
        """,
        "CREATE INDEX chunks_by_document ON chunks (document_number)",
        """
        CREATE VIRTUAL TABLE chunk_grams USING fts5 (
            grams, content = '', tokenize = "unicode61 remove_diacritics 0 categories 'L* N* Co M*'"
        )
        """,
        """
        CREATE TABLE embedders (
            number INTEGER PRIMARY KEY,
            fingerprint TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            num_dimensions INTEGER NOT NULL,
            query_prompt TEXT NOT NULL,
            document_prompt TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE vectors (
            embedder_number INTEGER NOT NULL REFERENCES embedders (number) ON DELETE CASCADE,
            chunk_number INTEGER NOT NULL REFERENCES chunks (number) ON DELETE CASCADE,
            vector BLOB NOT NULL,                   -- little-endian float16, length 1
            PRIMARY KEY (embedder_number, chunk_number)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX vectors_by_chunk ON vectors (chunk_number)",
    ),
    (
        # The document that goes when this one is ready; "" for none.
        "ALTER TABLE documents ADD COLUMN replaces TEXT NOT NULL DEFAULT ''",
        # Whether the text is character recognition's.
        "ALTER TABLE pages ADD COLUMN is_recognised INTEGER NOT NULL DEFAULT 0",
    ),
    (
        # JSON objects: a DocumentChoice; what an answer from documents rests on.
        "ALTER TABLE conversations ADD COLUMN documents TEXT NOT NULL DEFAULT '{}'",
        "ALTER TABLE messages ADD COLUMN evidence TEXT NOT NULL DEFAULT '{}'",
    ),
    (
        # The keyword index is our own now (postings.py). Documents are read again to fill it.
        "DROP TABLE chunk_grams",
        """
        CREATE TABLE segments (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            owner TEXT NOT NULL,
            num_chunks INTEGER NOT NULL,
            chunks BLOB NOT NULL,                   -- int64, little-endian: their numbers
            documents BLOB NOT NULL,                -- int64: of each chunk
            lengths BLOB NOT NULL                   -- float32: how many grams each has
        )
        """,
        "CREATE INDEX segments_by_owner ON segments (owner)",
        "CREATE TABLE postings (key INTEGER PRIMARY KEY, data BLOB NOT NULL)",
        "UPDATE documents SET status = 'waiting' WHERE status = 'ready'",
    ),
    (
        # A conversation that has answers goes on with the model that wrote the last one.
        """
        UPDATE conversations SET model_id = coalesce((
            SELECT m.model_id FROM messages m
            WHERE m.conversation_id = conversations.id AND m.role = 'assistant' AND m.model_id != ''
            ORDER BY m.number DESC LIMIT 1
        ), '')
        WHERE model_id = ''
        """,
    ),
)
