"""The summary view. Knows nothing about models."""
