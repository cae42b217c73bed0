"""Chunks into passages found: vectors, embedders, stores, the retriever. Knows no files."""
