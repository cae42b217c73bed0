"""The OpenAI-compatible API under /v1: an application of its own, mounted beside the page.

schemas.py      what may be asked, every field bounded
answering.py    POST /chat/completions and /completions
answers.py      POST /answers: from documents, with citations
summaries.py    POST /summaries: bullets with citations
tasks.py        one task's updates as a response, whole or streamed
task_schemas.py what may be asked of these two
objects.py      answers as OpenAI's objects and stream chunks
sse.py          event streams that end when the client goes
errors.py       errors in OpenAI's shape
limits.py       body size, tokens a minute
routes.py       puts it together; /models and the OpenAPI document
"""
