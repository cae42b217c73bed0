"""Every message that crosses the pipe between the web process and a document worker."""

from dataclasses import dataclass

from webui.processes.wire import Codec
from webui.text.pages import Chunk, Page, Reader, RecognisedPage

# --- web process -> worker -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadFile:
    """Read a file: answered by Reading…, PageRead…, ChunksMade, FileRead; or by Failed.

    With `recognised_path` pages without text go through character recognition, each answered by
    Recognised, except those that the file at that path (ocr.known_pages) has already.
    """

    path: str
    name: str
    password: str
    reader: Reader
    recognised_path: str = ""


@dataclass(frozen=True, slots=True)
class DrawPage:
    """Draw a page of a PDF: answered by Picture or Failed."""

    path: str
    password: str
    number: int
    width: int  # pixels


@dataclass(frozen=True, slots=True)
class LoadEmbedder:
    """Load an embedding model from a folder: answered by EmbedderReady or Failed."""

    path: str
    num_threads: int


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed texts: answered by Vectors or Failed."""

    texts: tuple[str, ...]
    is_query: bool


@dataclass(frozen=True, slots=True)
class EmbedInputs:
    """Embed what a program sent, as it is: answered by InputVectors or Failed.

    An input is a text, or token ids where the text is "". `kind` "query" or "document" puts the
    model's own prompt for it before each; "" puts none.
    """

    texts: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Rerank:
    """Score passages for a query with the CrossEncoder at `path`: answered by Scores or Failed."""

    path: str
    query: str
    texts: tuple[str, ...]


# --- worker -> web process -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The libraries are there; the clock of the job starts now."""


@dataclass(frozen=True, slots=True)
class Reading:
    num_done: int
    num_pages: int
    num_chars: int
    num_recognised: int = 0  # pages that character recognition has begun


@dataclass(frozen=True, slots=True)
class Recognised:
    page: RecognisedPage


@dataclass(frozen=True, slots=True)
class PageRead:
    page: Page


@dataclass(frozen=True, slots=True)
class ChunksMade:
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class FileRead:
    kind: str
    num_pages: int
    left_out: tuple[str, ...] = ()  # parts that were not read: files inside, hidden sheets


@dataclass(frozen=True, slots=True)
class Picture:
    png: str  # base64


@dataclass(frozen=True, slots=True)
class EmbedderReady:
    fingerprint: str  # of weights, tokenizer and settings
    num_dimensions: int
    max_tokens: int
    query_prompt: str
    document_prompt: str


@dataclass(frozen=True, slots=True)
class Vectors:
    data: str  # base64 of little-endian float16, one unit vector per text


@dataclass(frozen=True, slots=True)
class InputVectors:
    data: str  # base64 of little-endian float32, one unit vector per input
    num_tokens: int  # of all inputs


@dataclass(frozen=True, slots=True)
class Scores:
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """An AppError: its key and values. `password` 1: needed, 2: wrong."""

    key: str
    values: dict[str, str | int | float]
    password: int = 0


Message = (
    ReadFile
    | DrawPage
    | LoadEmbedder
    | Embed
    | EmbedInputs
    | Rerank
    | Started
    | Reading
    | Recognised
    | PageRead
    | ChunksMade
    | FileRead
    | Picture
    | EmbedderReady
    | Vectors
    | InputVectors
    | Scores
    | Failed
)
CODEC = Codec(
    ReadFile, DrawPage, LoadEmbedder, Embed, EmbedInputs, Rerank, Started, Reading, Recognised,
    PageRead, ChunksMade, FileRead, Picture, EmbedderReady, Vectors, InputVectors, Scores, Failed,
)  # fmt: skip
