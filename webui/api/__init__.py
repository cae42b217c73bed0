"""The web application around the page: routes, checks on every request, the server.

security.py   Host and Origin, size limits, response headers, our head in Gradio's page
files.py      export and import of conversations, the page's own assets
server.py     assembles all that and listens
"""
