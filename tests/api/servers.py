"""A Kajogaki in a process of its own, for tests of its API."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import openai

from tests.places import ROOT

PROJECT_DIR = ROOT


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    folder: Path
    process: subprocess.Popen[str]

    def client(self, key: str = "none") -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=300)


@contextmanager
def serving(
    folder: Path,
    *options: str,
    host: str = "127.0.0.1",
    may_end: bool = False,
    program: Sequence[str] = ("app.py",),
) -> Iterator[Server]:
    """`app.py serve` on a free port; `folder` has data/ and models/."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, *program, "serve", "--no-browser", "--port", "0", "--host", host]
    command += ["--data-dir", str(folder / "data"), "--models-dir", str(folder / "models")]
    if "--embedder" not in options:
        command += ["--embedder", "off"]  # importing torch takes ten seconds
    with (folder / "stderr.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [*command, *options], cwd=PROJECT_DIR, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http://" in line, (folder / "stderr.log").read_text(encoding="utf-8")
        url = next(word for word in line.split() if word.startswith("http://")).rstrip("/")
        yield Server(url.replace("0.0.0.0", "127.0.0.1"), folder, process)
        assert may_end or process.poll() is None, "the server has ended during the test"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
