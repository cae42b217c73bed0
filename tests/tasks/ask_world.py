"""Documents, an asker and a chat on a real worker, library and database, for tests."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.documents.makepdf import pdf, set_lines
from tests.places import BUILTIN_DIR
from webui.config import Settings
from webui.documents.library import Library
from webui.engine.pool import EnginePool
from webui.models import Catalog
from webui.storage import Storage
from webui.tasks.ask.asker import Asker
from webui.tasks.ask.inquiry import AnswerUpdate, Asking
from webui.tasks.ask.prompting import Wishes
from webui.tasks.ask.result import Answer
from webui.tasks.chat.chat import Chat

ME = "local"
LEAVE = "年次有給休暇は、入社六か月後に十日を与える。"
TRAVEL = "出張の旅費は、実費を支給する。"
RAIN = "梅雨は雨季の一種である。"
MEMO = "会議は毎週月曜日に開く。\n議事録は総務部が作る。\n会議室は三階にある。"
NOTHING = "資料には書かれていません。"


@dataclass(slots=True)
class Shelf:
    """A library with its database; `ids` of its documents by name."""

    folder: Path
    storage: Storage
    library: Library
    collection_id: str
    ids: dict[str, str]

    def add(self, name: str, data: bytes, **more: Any) -> str:
        path = self.folder / name
        path.write_bytes(data)
        document, _ = self.library.add(ME, self.collection_id, name, path, **more)
        assert self.library.wait(30)
        self.ids[name] = document.id
        return document.id


@contextmanager
def shelf(folder: Path) -> Iterator[Shelf]:
    storage = Storage(folder / "kajogaki.db")
    library = Library(storage.documents, folder / "documents")
    library.start()
    collection = storage.documents.create_collection(ME, "規程集")
    try:
        yield Shelf(folder, storage, library, collection.id, {})
    finally:
        library.close()
        storage.close()


def rules_pdf() -> bytes:
    return pdf([set_lines([RAIN]), set_lines([LEAVE, TRAVEL])])


@dataclass(slots=True)
class World:
    """One worker for many tests; `run` what is asked of it."""

    shelf: Shelf
    pool: EnginePool
    asker: Asker
    chat: Chat
    runner: asyncio.Runner

    def updates(self, question: str, *says: str, **asking: Any) -> list[AnswerUpdate]:
        """The model is made to write what `says` has, or writes a little of what it likes."""
        wishes = Wishes({"grammar": literal(*says)} if says else {"max_tokens": 4})
        made = Asking(question, **{"wishes": wishes, **asking})

        async def collect() -> list[AnswerUpdate]:
            return [update async for update in self.asker.answer(made)]

        return self.runner.run(collect())

    def ask(self, question: str, *says: str, **asking: Any) -> Answer:
        answer = self.updates(question, *says, **asking)[-1].answer
        assert answer is not None
        return answer


def literal(*texts: str) -> str:
    """A grammar of exactly these texts, one after the other."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for text in texts)
    return "root ::= " + " ".join(f'"{text}"' for text in quoted)


@contextmanager
def world(
    shelf: Shelf,
    *,
    rewriting_from: int = 10**12,
    talking_from: int = 10**12,
    builtin_dir: Path = BUILTIN_DIR,
    **settings: Any,
) -> Iterator[World]:
    """Needs the stand-in model to be there, or what else `builtin_dir` has."""
    models_dir = shelf.folder / "models"
    models_dir.mkdir(exist_ok=True)
    chosen = replace(Settings(n_ctx=2048, n_slots=4), models_dir=models_dir, **settings)
    pool = EnginePool(Catalog(models_dir, builtin_dir), chosen)
    storage = shelf.storage
    asker = Asker(
        shelf.library,
        storage.documents,
        pool,
        rewriting_from=rewriting_from,
        talking_from=talking_from,
    )
    with asyncio.Runner() as runner:
        try:
            yield World(shelf, pool, asker, Chat(storage, pool, asker=asker), runner)
        finally:
            runner.run(pool.close())


def states(updates: Sequence[AnswerUpdate]) -> list[str]:
    """Without repetitions."""
    names = [str(update.state) for update in updates]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]
