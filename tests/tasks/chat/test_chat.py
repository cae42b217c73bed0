"""Chat on a real worker and a real database."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from webui.config import Settings
from webui.engine.pool import EnginePool, LoadState
from webui.engine.request import SamplingParams
from webui.models import Catalog
from webui.prompts import builtin_families
from webui.storage import NotFoundError, Role, Status, Storage
from webui.strings import Language
from webui.tasks.chat.chat import Chat, ReplyState, ReplyUpdate
from webui.tasks.sampling import sampling_of

ME = "local"
ENDLESS = {"ignore_eos": True, "max_tokens": 4000, "temperature": 0}


@dataclass(slots=True)
class World:
    storage: Storage
    pool: EnginePool
    chat: Chat
    models_dir: Path

    def conversation(self, **sampling: Any) -> str:
        return self.storage.create_conversation(ME, sampling=sampling).id

    async def ask(self, conversation_id: str, text: str) -> list[ReplyUpdate]:
        self.chat.send(ME, conversation_id, text)
        return [update async for update in self.chat.reply(ME, conversation_id)]


def in_world(
    standin: Path, tmp_path: Path, test: Callable[[World], Awaitable[None]], **settings: Any
) -> None:
    async def run() -> None:
        models_dir = tmp_path / "models"
        models_dir.mkdir()
        chosen = replace(Settings(n_ctx=2048, n_slots=4), models_dir=models_dir, **settings)
        storage = Storage(tmp_path / "kajogaki.db")
        pool = EnginePool(Catalog(models_dir, standin.parent), chosen)
        try:
            await test(World(storage, pool, Chat(storage, pool), models_dir))
        finally:
            await pool.close()
            storage.close()

    asyncio.run(run())


def test_an_answer_streams_and_is_saved_with_its_numbers(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        chat = world.conversation(**ENDLESS, seed=1)
        began = time.perf_counter()
        updates = await world.ask(chat, "こんにちは。お元気ですか？")
        seconds = time.perf_counter() - began
        assert updates[0].state is ReplyState.LOADING and updates[-1].state is ReplyState.DONE
        assert len(updates) <= 10 * seconds + 6  # at most ten a second, and the ends
        texts = [update.text for update in updates]
        assert all(
            later.startswith(earlier) for earlier, later in zip(texts, texts[1:], strict=False)
        )
        answer = world.storage.path(ME, chat)[-1]
        assert (answer.content, answer.status) == (texts[-1], Status.COMPLETE)
        assert answer.stats["completion_tokens"] > 1000
        assert answer.stats["tokens_per_s"] > 0 and answer.stats["elapsed_s"] > 0
        assert 0 < answer.stats["time_to_first_token_s"] < answer.stats["elapsed_s"]
        assert world.storage.conversation(ME, chat).title == "こんにちは"

    in_world(standin, tmp_path, test)


def test_the_second_turn_finds_the_first_in_the_cache(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        chat = world.conversation(temperature=0)
        await world.ask(chat, "一つ目の質問です。" * 20)
        await world.ask(chat, "次")
        stats = world.storage.path(ME, chat)[-1].stats
        assert stats["prompt_tokens"] - stats["cached_tokens"] < 20

    in_world(standin, tmp_path, test)


def test_regenerating_makes_a_version_and_editing_a_branch(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        chat = world.conversation()
        await world.ask(chat, "質問")
        async for _ in world.chat.reply(ME, chat):
            pass
        question, answer = world.storage.path(ME, chat)
        assert (answer.version, answer.num_versions) == (2, 2)
        world.chat.edit(ME, question.id, "別の質問")
        async for _ in world.chat.reply(ME, chat):
            pass
        path = world.storage.path(ME, chat)
        assert [m.content for m in path][0] == "別の質問" and path[0].num_versions == 2
        assert (path[1].version, path[1].num_versions) == (1, 1)

    in_world(standin, tmp_path, test)


def test_stopping_keeps_what_was_written(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        chat = world.conversation(**ENDLESS)
        world.chat.send(ME, chat, "止めます")
        async with aclosing(world.chat.reply(ME, chat)) as updates:
            async for update in updates:
                if len(update.text) > 10:
                    break
        answer = world.storage.path(ME, chat)[-1]
        assert answer.status is Status.PARTIAL and answer.content == update.text
        assert answer.stats["completion_tokens"] > 0
        engine = world.pool.engine
        assert engine is not None
        while (await engine.integrity()).num_running:
            await asyncio.sleep(0.01)
        await world.pool.unload()  # would wait for ever if the lease were kept

    in_world(standin, tmp_path, test)


@pytest.mark.parametrize("num_kills", [3, pytest.param(50, marks=pytest.mark.thorough)])
def test_kills_in_the_middle_of_answers_lose_nothing(
    standin: Path, tmp_path: Path, num_kills: int
) -> None:
    async def test(world: World) -> None:
        chat = world.conversation(**ENDLESS)
        for turn in range(num_kills):
            world.chat.send(ME, chat, f"質問 {turn}")
            is_killed = False
            async for update in world.chat.reply(ME, chat):
                if update.text and not is_killed and update.state is ReplyState.WRITING:
                    engine = world.pool.engine
                    assert engine is not None and engine.pid is not None
                    is_killed = True
                    os.kill(engine.pid, signal.SIGKILL)
            assert update.state is ReplyState.ERROR
            assert "もう一度" in update.error
        path = world.storage.path(ME, chat)
        assert [m.content for m in path if m.role is Role.USER] == [
            f"質問 {turn}" for turn in range(num_kills)
        ]
        answers = [m for m in path if m.role is Role.ASSISTANT]
        assert all(m.content and m.status is Status.PARTIAL for m in answers)
        assert all("もう一度" in m.stats["error"] for m in answers)
        assert (await world.ask(world.conversation(), "元気？"))[-1].state is ReplyState.DONE

    before = set(psutil.Process().children(recursive=True))
    in_world(standin, tmp_path, test)
    assert set(psutil.Process().children(recursive=True)) == before


def test_errors_come_as_one_sentence_in_the_users_language(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        chat = world.conversation()
        world.chat.send(ME, chat, "文" * 3000)
        updates = [u async for u in world.chat.reply(ME, chat, language=Language.EN)]
        assert updates[-1].state is ReplyState.ERROR and "too long" in updates[-1].error
        bad = world.conversation(temperature=-1)
        assert "設定" in (await world.ask(bad, "?"))[-1].error

    in_world(standin, tmp_path, test)


def test_a_bad_model_file_is_one_sentence_and_others_still_answer(
    standin: Path, tmp_path: Path
) -> None:
    async def test(world: World) -> None:
        (world.models_dir / "broken.gguf").write_bytes(standin.read_bytes()[:100_000])
        broken = world.storage.create_conversation(ME, model_id="broken").id
        last = (await world.ask(broken, "?"))[-1]
        assert last.state is ReplyState.ERROR and "broken" in last.error
        assert world.pool.state("broken").state is LoadState.FAILED
        good = world.storage.create_conversation(ME, model_id="standin").id
        assert (await world.ask(good, "?"))[-1].state is ReplyState.DONE
        gone = world.storage.create_conversation(ME, model_id="never-was").id
        assert (await world.ask(gone, "?"))[-1].state is ReplyState.ERROR

    in_world(standin, tmp_path, test)


def test_a_conversation_keeps_the_model_of_its_first_answer(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        (world.models_dir / "other.gguf").write_bytes(standin.read_bytes())
        chat = world.conversation(max_tokens=4)
        async with world.pool.lease("other"):
            pass
        await world.ask(chat, "どちら？")
        async with world.pool.lease("standin"):  # measured or loaded for something else
            pass
        assert world.pool.current_id == "standin"
        assert world.chat.model_of(world.storage.conversation(ME, chat)).id == "other"
        await world.ask(chat, "いまは？")
        answers = [m for m in world.storage.path(ME, chat) if m.role is Role.ASSISTANT]
        assert [answer.model_id for answer in answers] == ["other", "other"]

    in_world(standin, tmp_path, test)


@pytest.mark.thorough
def test_two_models_answer_at_once(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        (world.models_dir / "other.gguf").write_bytes(standin.read_bytes())
        first = world.storage.create_conversation(ME, model_id="standin", sampling=ENDLESS).id
        second = world.storage.create_conversation(ME, model_id="other").id
        done = await asyncio.gather(world.ask(first, "長い答え"), world.ask(second, "別のモデル"))
        assert [updates[-1].state for updates in done] == [ReplyState.DONE] * 2
        assert set(world.pool.loaded_ids()) == {"standin", "other"}

    in_world(standin, tmp_path, test)


def test_another_owner_gets_nothing(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        chat = world.conversation()
        message = world.chat.send(ME, chat, "秘密")
        with pytest.raises(NotFoundError):
            world.chat.send("someone", chat, "?")
        with pytest.raises(NotFoundError):
            world.chat.edit("someone", message.id, "?")
        with pytest.raises(NotFoundError):
            [u async for u in world.chat.reply("someone", chat)]
        with pytest.raises(NotFoundError):
            await world.chat.context_usage("someone", chat)

    in_world(standin, tmp_path, test)


def test_strange_text_does_no_harm(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        for text in ("\x00\x01\x1b[31m", "\ud800半分", "🎌" * 50, "<|im_end|>" * 20, "\u202e逆"):
            assert (await world.ask(world.conversation(), text))[-1].state is ReplyState.DONE

    in_world(standin, tmp_path, test)


def test_a_megabyte_is_refused_with_its_size_and_kept(standin: Path, tmp_path: Path) -> None:
    async def test(world: World) -> None:
        chat = world.conversation()
        last = (await world.ask(chat, "長い文。" * 90_000))[-1]
        assert last.state is ReplyState.ERROR and "トークン" in last.error
        assert len(world.storage.path(ME, chat)[0].content) == 360_000

    in_world(standin, tmp_path, test)


def test_the_makers_recommendations_of_every_family_can_be_sampled_with() -> None:
    for family in builtin_families().values():
        params = sampling_of(family.format.sampling)
        for item in fields(SamplingParams):
            if item.type is int:
                assert type(getattr(params, item.name)) is int, (family.name, item.name)


CIRCLES = {"grammar": 'root ::= "予算は増えました。" root', "max_tokens": 900}


def test_an_answer_that_runs_in_circles_is_ended(standin: Path, tmp_path: Path) -> None:
    """The smallest models wrote one word to the limit, a minute long."""

    async def test(world: World) -> None:
        chat = world.conversation(**CIRCLES)
        last = (await world.ask(chat, "予算は？"))[-1]
        assert (last.state, last.text) == (ReplyState.DONE, "予算は増えました。" * 2)
        answer = world.storage.path(ME, chat)[-1]
        assert (answer.content, answer.status) == (last.text, Status.COMPLETE)
        assert answer.stats["finish_reason"] == "repetition"
        assert answer.stats["completion_tokens"] < 600
        wanted = world.conversation(**CIRCLES, ignore_eos=True)
        assert (await world.ask(wanted, "予算は？"))[-1].stats["finish_reason"] == "length"

    in_world(standin, tmp_path, test)
