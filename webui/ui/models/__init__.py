"""The models view. Knows nothing about llama.cpp or the hub."""
