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
)
