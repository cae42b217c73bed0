"""Models of other servers: our own on another port, and llama-cpp-python's as a foreign one."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.servers import Server, serving
from webui.config import Settings
from webui.engine.client import Delta, EngineDeadError, ModelLoadError
from webui.engine.pool import EnginePool, LoadState
from webui.engine.remote import RemoteTokenizer
from webui.errors import AppError
from webui.models import Catalog
from webui.prompts.rendered import RenderedPrompt, Span
from webui.storage import Storage
from webui.tasks.chat.chat import Chat, ReplyState
from webui.tasks.complete import Ask, Completions, Piece

ME = "local"
CHAT = {"messages": [{"role": "user", "content": "こんにちは"}], "max_tokens": 8}


@dataclass(slots=True)
class World:
    pool: EnginePool
    chat: Chat
    storage: Storage
    models_dir: Path

    def entry(self, stem: str, url: str, model: str = "standin", **more: Any) -> None:
        values = {"base_url": url, "model": model, **more}
        lines = [f"{key} = {value!r}" for key, value in values.items()]
        (self.models_dir / f"{stem}.toml").write_text("\n".join(lines), encoding="utf-8")

    async def complete(self, **ask: Any) -> str:
        messages = ({"role": "user", "content": "こんにちは"},)
        events = Completions(self.pool).run(Ask(messages=messages, **ask))
        return "".join([e.text async for e in events if isinstance(e, Piece)])


def in_world(standin: Path, tmp_path: Path, test: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        models_dir = tmp_path / "remotes"
        models_dir.mkdir()
        pool = EnginePool(Catalog(models_dir, standin.parent), Settings(n_ctx=2048, n_slots=4))
        storage = Storage(tmp_path / "kajogaki.db")
        try:
            await test(World(pool, Chat(storage, pool), storage, models_dir))
        finally:
            await pool.close()
            storage.close()

    asyncio.run(run())


@pytest.fixture(scope="module")
def foreign(standin: Path) -> Iterator[str]:
    """`python -m llama_cpp.server`: another implementation of the same API."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(standin)]
    command += ["--model_alias", "foreign", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--n_ctx", "1024", "--n_threads", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/v1"
    try:
        for _ in range(300):
            with contextlib.suppress(httpx.TransportError):
                httpx.get(url + "/models").raise_for_status()
                break
            assert process.poll() is None, "llama_cpp.server did not start"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def test_the_page_chats_with_our_own_server_elsewhere(
    server: Server, standin: Path, tmp_path: Path
) -> None:
    async def test(world: World) -> None:
        world.entry("elsewhere", server.url + "/v1", name="よそのモデル")
        conversation = world.storage.create_conversation(
            ME, model_id="elsewhere", sampling={"temperature": 0, "max_tokens": 30}
        )
        for question in ("こんにちは", "<|user|>もう一度 <|assistant|>"):
            world.chat.send(ME, conversation.id, question)
            updates = [update async for update in world.chat.reply(ME, conversation.id)]
            assert updates[-1].state is ReplyState.DONE, updates[-1].error
            assert updates[-1].text and updates[-1].stats["completion_tokens"] == 30
        assert [m.content for m in world.storage.path(ME, conversation.id)][2].startswith(
            "<|user|>"
        )
        assert world.pool.state("elsewhere").state is LoadState.READY

    in_world(standin, tmp_path, test)


def test_the_same_question_gets_the_same_answer_here_and_there(
    server: Server, standin: Path, tmp_path: Path
) -> None:
    async def test(world: World) -> None:
        world.entry("elsewhere", server.url + "/v1", extensions=["top_k", "min_p"])
        sampling = {"temperature": 0, "max_tokens": 12}
        there = await world.complete(model_id="elsewhere", sampling=sampling)
        assert there[:10] == (await world.complete(model_id="standin", sampling=sampling))[:10]

    in_world(standin, tmp_path, test)


def test_a_foreign_server_answers_and_is_asked_for_several_at_once(
    foreign: str, standin: Path, tmp_path: Path
) -> None:
    async def test(world: World) -> None:
        world.entry("foreign", foreign, model="foreign")
        one = await world.complete(model_id="foreign", sampling={"max_tokens": 10})
        assert one
        events = Completions(world.pool).run(
            Ask(model_id="foreign", messages=({"role": "user", "content": "はい"},),
                sampling={"max_tokens": 10, "seed": 3})
        )  # fmt: skip
        pieces = [event async for event in events if isinstance(event, Piece)]
        assert pieces[-1].finish_reason and pieces[-1].usage
        assert pieces[-1].usage.completion_tokens > 0

    in_world(standin, tmp_path, test)


@pytest.mark.thorough
def test_our_api_serves_another_servers_model(
    server: Server, standin: Path, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    entry = f'base_url = "{server.url}/v1"\nmodel = "standin"\ngrammar = "grammar"\n'
    (tmp_path / "models" / "far.toml").write_text(entry, encoding="utf-8")
    with serving(tmp_path) as near, near.client() as client:
        options: dict[str, Any] = {**CHAT, "model": "far"}
        whole = client.chat.completions.create(**options)
        assert whole.model == "far" and whole.choices[0].message.content
        streamed = client.chat.completions.create(**options, stream=True, stop=["。"])
        text = "".join(c.choices[0].delta.content or "" for c in streamed if c.choices)
        assert text and "。" not in text
        shaped = client.chat.completions.create(
            **options, extra_body={"grammar": 'root ::= "はい" | "いいえ"'}
        )
        assert shaped.choices[0].message.content in ("はい", "いいえ")
        refused = httpx.post(
            near.url + "/v1/chat/completions", json={**options, "logprobs": True}, timeout=30
        )
        assert refused.status_code == 400


def test_stop_ends_the_work_over_there(server: Server, standin: Path, tmp_path: Path) -> None:
    def running() -> float:
        lines = httpx.get(server.url + "/metrics").text.splitlines()
        found = [line for line in lines if line.startswith("kajogaki_requests_running{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    async def test(world: World) -> None:
        world.entry("elsewhere", server.url + "/v1")
        async with world.pool.lease("elsewhere") as engine:
            assert engine.tokenizer
            prompt = RenderedPrompt("<|user|>長く", (Span(8, 10),))
            sampling = replace(_endless(), max_tokens=900)
            events = engine.generate(engine.tokenizer.encode(prompt), sampling)
            async for event in events:
                if isinstance(event, Delta) and event.text:
                    break
            await events.aclose()
        began = time.perf_counter()
        while running():
            assert time.perf_counter() - began < 20, "it goes on working over there"
            await asyncio.sleep(0.01)

    in_world(standin, tmp_path, test)


def test_a_server_that_is_away_is_one_clear_error_and_comes_back(
    standin: Path, tmp_path: Path
) -> None:
    async def test(world: World) -> None:
        world.entry("away", "http://127.0.0.1:9/v1")
        with pytest.raises(ModelLoadError, match=r"127\.0\.0\.1:9"):
            await world.complete(model_id="away")
        assert world.pool.state("away").state is LoadState.FAILED
        assert await world.complete(model_id="standin", sampling={"max_tokens": 3})

    in_world(standin, tmp_path, test)


@pytest.mark.thorough
def test_a_server_that_goes_away_in_the_middle(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        with serving(tmp_path / "server", may_end=True) as server:
            world.entry("elsewhere", server.url + "/v1")
            assert await world.complete(model_id="elsewhere", sampling={"max_tokens": 3})
            server.process.kill()
            server.process.wait()
            with pytest.raises(EngineDeadError):
                await world.complete(model_id="elsewhere", sampling={"max_tokens": 3})
            with pytest.raises(ModelLoadError):
                await world.complete(model_id="elsewhere", sampling={"max_tokens": 3})

    in_world(standin, tmp_path, test)


@pytest.mark.parametrize(
    "answer",
    [b"data: {\n\n", b"data: []\n\n", b'data: {"choices": 5}\n\n', b'data: {"choices": ["x"]}\n\n',
     b'data: {"choices": [{"delta": {"content": 5}}]}\n\n', b"data: " + b"[" * 100_000 + b"\n\n",
     b'data: {"error": {"message": "boom"}}\n\n', b"", b"\xff\xfe\n\n",
     b'data: {"choices": [], "usage": {"prompt_tokens": 1e400, "completion_tokens": "x"}}\n\n'],
    ids=repr,
)  # fmt: skip
def test_a_hostile_server_gives_an_error_or_an_answer(
    answer: bytes, standin: Path, tmp_path: Path
) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = b'{"data": [{"id": "x", "n_ctx": -5}, 3]}' if head.startswith(b"GET") else answer
        kind = b"application/json" if head.startswith(b"GET") else b"text/event-stream"
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: " + kind)
        writer.write(b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async def test(world: World) -> None:
        async with await asyncio.start_server(respond, "127.0.0.1", 0) as hostile:
            port = hostile.sockets[0].getsockname()[1]
            world.entry("hostile", f"http://127.0.0.1:{port}/v1", model="x")
            with contextlib.suppress(AppError):
                assert await world.complete(model_id="hostile") == ""

    in_world(standin, tmp_path, test)


@pytest.mark.parametrize(
    "entry",
    ['base_url = "ftp://x/v1"\nmodel = "x"', 'base_url = "http:///v1"\nmodel = "x"',
     'base_url = "http://x/v1"', 'base_url = 5\nmodel = "x"',
     'base_url = "http://x/v1"\nmodel = "x"\ntypo = 1',
     'base_url = "http://x/v1"\nmodel = "x"\nextensions = ["messages"]',
     'base_url = "http://x/v1"\nmodel = "x"\nn_ctx = -1'],
)  # fmt: skip
def test_a_bad_entry_is_listed_with_what_is_wrong(
    entry: str, standin: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.toml").write_text(entry, encoding="utf-8")
    (spec,) = [s for s in Catalog(tmp_path, standin.parent).models() if not s.is_standin]
    assert spec.error is not None and "bad.toml" in spec.problem


def test_a_missing_key_names_the_variable(server: Server, standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        world.entry("locked", server.url + "/v1", key_env="KAJOGAKI_TEST_NO_SUCH_KEY")
        assert "KAJOGAKI_TEST_NO_SUCH_KEY" not in os.environ
        with pytest.raises(ModelLoadError, match="KAJOGAKI_TEST_NO_SUCH_KEY"):
            await world.complete(model_id="locked")

    in_world(standin, tmp_path, test)


@pytest.mark.parametrize(
    "text", ["", "こんにちは、世界！", "a quick  brown fox", "<|user|>", "😀\n\t"]
)
def test_the_tokenizer_spells_back_what_it_read(text: str) -> None:
    words = RemoteTokenizer()
    assert words.text_of(words.encode_text(text)) == text
    prompt = RenderedPrompt(f"<|user|>{text}<|assistant|>", (Span(8, 8 + len(text)),))
    assert words.messages(words.encode(prompt)) == [{"role": "user", "content": text}]


def _endless() -> Any:
    from webui.engine.request import SamplingParams

    return SamplingParams(temperature=0, ignore_eos=True)
