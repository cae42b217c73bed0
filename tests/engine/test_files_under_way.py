"""A model's file while it is loaded: answers go on, or one sentence says why they do not."""

import os
from pathlib import Path

import pytest

from tests.engine.test_pool import SAMPLING, answer, in_pool
from webui.engine.client import EngineDeadError
from webui.engine.pool import EnginePool
from webui.errors import AppError


@pytest.mark.thorough
def test_a_file_deleted_while_loaded_goes_on_answering(standin: Path, tmp_path: Path) -> None:
    async def test(pool: EnginePool) -> None:
        async with pool.lease("one"):
            (tmp_path / "one.gguf").unlink()
        assert pool.loaded("one")
        await pool.unload("one")
        with pytest.raises(AppError, match="one"):
            await answer(pool, "one")
        assert await answer(pool, "two")

    in_pool(standin, tmp_path, test)


@pytest.mark.thorough
def test_another_file_in_its_place_is_used_at_the_next_load(standin: Path, tmp_path: Path) -> None:
    async def test(pool: EnginePool) -> None:
        before = await answer(pool, "one")
        (tmp_path / "new").write_bytes(b"nothing at all")
        os.replace(tmp_path / "new", tmp_path / "one.gguf")
        with pytest.raises(AppError, match=r"one\.gguf"):
            await answer(pool, "one")
        assert pool.loaded("one"), "who talks with it now is not cut off"
        await pool.unload("one")
        (tmp_path / "one.gguf").write_bytes(standin.read_bytes())
        assert await answer(pool, "one") == before

    in_pool(standin, tmp_path, test)


def test_a_file_shortened_under_its_worker_ends_only_the_worker(
    standin: Path, tmp_path: Path
) -> None:
    """Its pages are gone from the map: the system ends the process that reads them."""

    async def test(pool: EnginePool) -> None:
        async with pool.lease("one") as engine:
            os.truncate(tmp_path / "one.gguf", 4096)
            with pytest.raises(EngineDeadError):
                async for _ in engine.generate(list(range(400, 440)), SAMPLING):
                    pass
        with pytest.raises(AppError, match="cut short"):
            await answer(pool, "one")
        assert await answer(pool, "two")

    in_pool(standin, tmp_path, test)
