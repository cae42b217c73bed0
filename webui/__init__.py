"""Kajogaki: a private, local LLM workbench for people who read and write Japanese."""

__version__ = "0.1.0"
