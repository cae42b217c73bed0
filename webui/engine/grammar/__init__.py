"""What text a grammar allows next, and which tokens: GBNF, JSON Schema, masks. Knows nothing about llama.cpp."""
