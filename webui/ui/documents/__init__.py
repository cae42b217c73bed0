"""The documents view. Knows nothing about SQL or readers."""
