"""The page: Gradio's queue and streams below, our own view of a conversation on top.

    environment.py        what must be set before `import gradio`
    language.py           the reader's language; strings for the browser
    theme.py              the colours of Gradio's own components
    boot.py               the first bytes of the page: language, colours, skeleton
    markdown_rules.py     emphasis beside Japanese, TeX formulas
    markdown.py           a model's Markdown -> inert HTML blocks
    message_view.py       messages -> what the browser draws; the status and statistics lines
    conversation_list.py  the sidebar's list and what can be done to it
    settings_panel.py     system prompt, sampling and presets of a conversation
    chat_tab.py           the chat: its components, its events
    page.py               the whole page, mounted on the web application
    assets/               app.css and the browser's modules

Every event is a public endpoint: a handler trusts nothing but the request's user, and storage
checks the owner of every id. Knows nothing about HTTP routes (webui/api) or llama.cpp.
"""
