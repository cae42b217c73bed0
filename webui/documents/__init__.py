"""Documents: read, repaired, split, indexed and found again. Knows nothing about the page.

pages.py          values: Page, Sentence, Chunk, Span; where each character stood on the paper
errors.py         DocumentError: why a file cannot be read
characters.py     single characters: wrong ones repaired, garble recognised (pure)
layout.py         characters with boxes → printed lines, horizontal or vertical, no furigana
repair.py         lines → paragraphs: running heads, line ends, needless spaces
pdfium_reader.py  pdfium's only door: characters with boxes, page pictures
pypdf_reader.py   pypdf's only door: the second reader
files.py, kinds.py   which reader reads what; word, workbook, slides, html, mail, … → pages
loader.py         a file → pages
splitter.py       pages → sentences → chunks
messages.py       what crosses the pipe to the worker processes
worker.py         the worker process: reads files, or embeds; limits itself
process.py        the worker as the web process sees it: spawned, watched, killed, restarted
embedder.py       sentence-transformers' only door, in its own worker process
model_folder.py   a model's folder judged without loading it; fingerprint
embedders.py      which embedding model and reranker are used
embedding.py      what the model has embedded, and the job that embeds the rest
vectors.py        the vector store's four verbs; FAISS's only door
milvus_store.py   Milvus's only door
stores.py         which store is opened
retriever.py      a question → passages: keywords and vectors mixed
trust.py          a collection tested with its own sentences
library.py        Library: files in, progress, the job, pages and searches out
"""
