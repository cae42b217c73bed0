"""Ask: a question is answered from documents, with the passages that each sentence rests on.

followups.py   a question that leans on the conversation → one that can be searched for
searching.py   which documents, the search, and whether anything in it is relevant
relevance.py   how much of a question a passage speaks of (pure)
prompting.py   numbered passages and the question → the exact prompt, within the model's room
citing.py      the model's text → sentences with citations and flags (pure)
result.py      Answer, and the same as JSON (pure)
inquiry.py     what callers of the Asker give and get; one question on its way (pure)
asker.py       Asker: puts it together, as a stream of updates
temporary.py   files or texts that are asked about once
exports.py     an answer as Markdown or JSON (pure)
"""
