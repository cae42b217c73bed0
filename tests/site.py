"""A running Kajogaki for tests: the real command, its own data, the stand-in model."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from webui.storage import Message, Role, Storage

PROJECT_DIR = Path(__file__).parent.parent
OWNER = "local"  # where nobody has to log in
ENDLESS: dict[str, Any] = {"ignore_eos": True, "max_tokens": 6000, "seed": 1}


@dataclass(frozen=True, slots=True)
class Site:
    """Where it answers, and its database, opened a second time."""

    url: str
    storage: Storage
    process: subprocess.Popen[str]
    storage_folder: Path
    models_folder: Path

    def conversation(self, *texts: str, title: str = "", **sampling: Any) -> str:
        """A new conversation with these messages, question and answer in turn; its id."""
        made = self.storage.create_conversation(OWNER, sampling=sampling)
        if title:
            self.storage.update_conversation(OWNER, made.id, title=title, title_is_auto=False)
        parent: str | None = None
        for number, text in enumerate(texts):
            role = Role.ASSISTANT if number % 2 else Role.USER
            message = self.storage.add_message(OWNER, made.id, role, text, parent_id=parent)
            parent = message.id
        return made.id

    def path(self, conversation_id: str) -> list[Message]:
        return self.storage.path(OWNER, conversation_id)


@contextmanager
def standing_still(process: subprocess.Popen[str]) -> Iterator[None]:
    """The loaded models of this app compute nothing meanwhile: what is being written stays so."""
    every = psutil.Process(process.pid).children()
    children = [child for child in every if child.status() != psutil.STATUS_ZOMBIE]
    engines = [child for child in children if "webui.engine.worker.worker" in child.cmdline()]
    assert engines, "no model is loaded"
    for engine in engines:
        engine.suspend()
    try:
        yield
    finally:
        for engine in engines:
            if engine.is_running():
                engine.resume()


@pytest.fixture(scope="session")
def site(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`app.py serve` in a process of its own, on a free port."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "models").mkdir()
    command = [sys.executable, "app.py", "serve", "--no-browser", "--port", "0"]
    command += ["--data-dir", str(folder / "data"), "--models-dir", str(folder / "models")]
    with (folder / "stderr.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=PROJECT_DIR, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "http://" in line, (folder / "stderr.log").read_text(encoding="utf-8")
    url = next(word for word in line.split() if word.startswith("http://")).rstrip("/")
    storage = Storage(folder / "data" / "kajogaki.db")
    try:
        yield Site(url, storage, process, folder / "data", folder / "models")
    finally:
        storage.close()
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0, (folder / "stderr.log").read_text(encoding="utf-8")
