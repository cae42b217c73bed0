"""Chunks into passages found: vectors, embedders, stores, the retriever. Knows nothing about files."""
