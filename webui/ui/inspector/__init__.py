"""The prompt inspector's view. Knows nothing about llama.cpp."""
