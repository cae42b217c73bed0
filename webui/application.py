"""Application: everything a running Kajogaki consists of, built once, for page and commands.

Each part is built when it is first asked for, so that a command pays for what it uses alone. Knows
nothing about Gradio, HTTP or terminals.
"""

import asyncio
from functools import cached_property

from webui.config import DATABASE, FAMILIES, PROJECT_DIR, Settings
from webui.credentials import Credentials, login_needed
from webui.documents.library import Library
from webui.documents.process import DocumentReader
from webui.documents.search.embedder_process import LocalEmbedder
from webui.documents.search.embedding import EmbedderChoice, Embedding, choose_embedder
from webui.documents.search.retriever import MakeStore
from webui.documents.search.stores import faiss_stores, milvus_stores
from webui.engine.options import OptionsMemory
from webui.engine.pool import EnginePool
from webui.errors import AppError
from webui.jobs import Jobs
from webui.models import Catalog
from webui.storage import Storage
from webui.tasks.ask.asker import Asker
from webui.tasks.chat.chat import Chat
from webui.tasks.chat.replies import Replies
from webui.tasks.complete import Completions
from webui.tasks.formats import Formats
from webui.tasks.summarize.desk import SummaryDesk
from webui.tasks.summarize.summarizer import Summarizer

USER_SCOPE = "kajogaki.user"  # where the gate writes down who a request comes from
BUILTIN_MODELS = PROJECT_DIR / "models" / "builtin"
BUILTIN_EMBEDDER = PROJECT_DIR / "models" / "builtin-embedder"


class AdminNeededError(AppError):
    """What everybody shares (models, their files, the index) only administrators change."""


class Application:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @classmethod
    def open(cls, settings: Settings) -> "Application":
        """Nothing is read or written before a part of it is used."""
        return cls(settings)

    async def __aenter__(self) -> "Application":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends what was built, the database last. What is closed already stays closed."""
        built = self.__dict__
        if jobs := built.pop("jobs", None):
            await jobs.close()
        if library := built.pop("library", None):
            await asyncio.to_thread(library.close)
        for name in ("embedding", "reader"):
            if part := built.pop(name, None):
                await asyncio.to_thread(part.stop)
        if engines := built.pop("engines", None):
            await engines.close()
        if storage := built.pop("storage", None):
            storage.close()

    @cached_property
    def jobs(self) -> Jobs:
        return Jobs()

    # --- what is kept ----------------------------------------------------------------------------

    @cached_property
    def storage(self) -> Storage:
        """Makes the database where there is none. Raises StorageError."""
        self.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Storage(self.settings.data_dir / DATABASE)

    @property
    def kept(self) -> Storage | None:
        """What was kept before, if anything: a question in a terminal makes no database."""
        return self.storage if (self.settings.data_dir / DATABASE).exists() else None

    @cached_property
    def credentials(self) -> Credentials:
        return Credentials(self.settings.data_dir)

    # --- who may what ----------------------------------------------------------------------------

    def is_admin(self, owner: str) -> bool:
        """Whether `owner` may change what everybody shares. Whoever needs no login is alone."""
        return not login_needed(self.settings) or self.credentials.is_admin(owner)

    def check_admin(self, owner: str) -> None:
        """Raises AdminNeededError."""
        if not self.is_admin(owner):
            raise AdminNeededError("login.admin_needed")

    # --- models ----------------------------------------------------------------------------------

    @cached_property
    def catalog(self) -> Catalog:
        return Catalog(self.settings.models_dir, BUILTIN_MODELS)

    @cached_property
    def formats(self) -> Formats:
        """As chosen on the page, if there ever was one."""
        return Formats(self.kept, self.settings.data_dir / FAMILIES)

    @cached_property
    def engines(self) -> EnginePool:
        if self.kept is None:
            return EnginePool(self.catalog, self.settings)
        return EnginePool(self.catalog, self.settings, OptionsMemory(self.kept).of)

    @cached_property
    def completions(self) -> Completions:
        return Completions(self.engines, self.formats)

    # --- documents -------------------------------------------------------------------------------

    @cached_property
    def reader(self) -> DocumentReader:
        """Reads the files of summaries; its process starts when it is first needed."""
        return DocumentReader()

    @cached_property
    def embedder_choice(self) -> EmbedderChoice | None:
        return choose_embedder(
            self.catalog.entries().entries,
            self.settings.models_dir,
            BUILTIN_EMBEDDER,
            embedder=self.settings.embedder,
            reranker=self.settings.reranker,
        )

    @cached_property
    def embedding(self) -> Embedding | None:
        choice = self.embedder_choice
        return Embedding(self.storage.documents, choice) if choice else None

    def embedder(self) -> LocalEmbedder | None:
        """The model that meaning is compared with, if there is one."""
        return self.embedding.local if self.embedding else None

    @cached_property
    def library(self) -> Library:
        folder = self.settings.data_dir / "documents"
        return Library(self.storage.documents, folder, self.embedding, self._stores())

    def _stores(self) -> MakeStore:
        vectors = self.storage.documents.vectors
        if self.settings.milvus:
            return milvus_stores(vectors, self.settings.milvus)
        return faiss_stores(vectors, self.settings.data_dir / "vectors")

    # --- tasks -----------------------------------------------------------------------------------

    @cached_property
    def asker(self) -> Asker:
        return Asker(self.library, self.storage.documents, self.engines, self.formats)

    @cached_property
    def chat(self) -> Chat:
        return Chat(self.storage, self.engines, self.formats, self.asker)

    @cached_property
    def replies(self) -> Replies:
        return Replies(self.storage, self.chat, self.jobs)

    @cached_property
    def summarizer(self) -> Summarizer:
        return Summarizer(self.storage, self.engines, self.formats, self.embedder)

    @cached_property
    def summaries(self) -> SummaryDesk:
        return SummaryDesk(self.storage, self.summarizer, self.reader, self.jobs)
