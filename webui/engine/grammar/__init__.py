"""What text a grammar allows next, and which tokens: GBNF, JSON Schema. Knows no llama.cpp."""
