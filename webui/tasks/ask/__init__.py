"""Ask: a question is answered from documents, with the passages that each sentence rests on.

intents.py     what somebody wants: small talk, the last answer, the documents, a question (pure)
talking.py     answers without a search: small talk, the last answer's place or other words (pure)
followups.py   a question that leans on the conversation → one that can be searched for
searching.py   which documents, the search, and whether anything in it is relevant
prompting.py   numbered passages and the question → the exact prompt, within the model's room
comparing.py   which sentences of the passages a sentence rests on, and what none says (pure)
citing.py      the model's text → sentences with citations and flags (pure)
quoting.py     the passages' own words, for models that find nothing (pure)
result.py      Answer, and the same as JSON (pure)
inquiry.py     what callers of the Asker give and get; one question on its way (pure)
asker.py       Asker: puts it together, as a stream of updates
temporary.py   files or texts that are asked about once
exports.py     an answer as Markdown or JSON (pure)
"""
