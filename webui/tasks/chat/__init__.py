"""A conversation: history, prompt, stream, saved message. Knows neither Gradio nor HTTP."""
