"""Files into pages: one reader for each kind. Knows nothing about chunks or indexes."""
