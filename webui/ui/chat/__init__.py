"""The chat view. Knows nothing about SQL or llama.cpp."""
