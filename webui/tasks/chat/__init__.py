"""A conversation: history into prompt into stream into saved message. Knows nothing about Gradio or HTTP."""
