"""/v1/embeddings with the official client: the documents' embedder, and another server's."""

import base64
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import uvicorn
from fastapi import FastAPI

from tests.api.servers import Server
from tests.documents.makemodel import static_model
from webui.api.server import listen
from webui.api.v1.routes import create_v1
from webui.application import Application
from webui.catalog import Catalog
from webui.config import Settings
from webui.credentials import Credentials
from webui.documents.embedding import EmbedderChoice
from webui.documents.embedding import Embedding as DocumentsEmbedding
from webui.documents.library import Library
from webui.documents.process import EmbedderProcess
from webui.engine.pool import EnginePool
from webui.storage import Storage
from webui.tasks.ask.asker import Asker
from webui.tasks.chat import Chat
from webui.tasks.formats import Formats
from webui.tasks.summarize.desk import SummaryDesk

TEXTS = ["東京は日本の首都です。", "りんごは赤い。", "a quick brown fox"]
PATH = "/v1/embeddings"
pytestmark = pytest.mark.thorough  # importing torch takes ten seconds


@dataclass(frozen=True, slots=True)
class Embedding:
    """Our API over an embedder, in a thread of this process."""

    url: str
    process: EmbedderProcess
    models_dir: Path

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def embedding(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedding]:
    folder = tmp_path_factory.mktemp("embedding")
    (folder / "models").mkdir()
    process = EmbedderProcess(static_model(folder / "tiny"), num_threads=1)
    settings = Settings(data_dir=folder, models_dir=folder / "models")
    catalog = Catalog(settings.models_dir, standin.parent)
    storage = Storage(folder / "kajogaki.db")
    engines = EnginePool(catalog, settings)
    choice = EmbedderChoice(folder / "tiny", "tiny-embedder")
    model = DocumentsEmbedding(storage.documents, choice, process)
    library = Library(storage.documents, folder / "documents", model)
    formats = Formats(storage)
    application = Application(
        settings,
        storage,
        catalog,
        engines,
        Chat(storage, engines, formats),
        Credentials(folder),
        SummaryDesk(storage, engines, formats),
        library,
        Asker(library, storage.documents, engines, formats),
    )

    @contextlib.asynccontextmanager
    async def lifespan(_web: FastAPI) -> AsyncIterator[None]:
        yield
        await engines.close()

    web = FastAPI(lifespan=lifespan)
    web.mount("/v1", create_v1(application))
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(web, log_config=None))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        port = listener.getsockname()[1]
        yield Embedding(f"http://127.0.0.1:{port}", process, settings.models_dir)
        server.should_exit = True
        thread.join()
    process.stop()
    storage.close()


def test_a_text_a_list_and_token_ids_have_vectors_of_length_one(embedding: Embedding) -> None:
    client = embedding.client()
    one = client.embeddings.create(model="tiny-embedder", input=TEXTS[0], encoding_format="float")
    many = client.embeddings.create(model="", input=TEXTS)  # base64, as the client prefers
    assert one.model == many.model == "tiny-embedder"
    assert [entry.index for entry in many.data] == [0, 1, 2]
    assert np.allclose(one.data[0].embedding, many.data[0].embedding)
    assert np.allclose(np.linalg.norm([entry.embedding for entry in many.data], axis=1), 1)
    assert one.usage.prompt_tokens == one.usage.total_tokens == len(TEXTS[0])
    assert many.usage.prompt_tokens == sum(map(len, TEXTS))
    ids = [1 + ord(char) - 0x20 for char in TEXTS[2].replace(" ", "")]
    by_ids = client.embeddings.create(model="tiny-embedder", input=[ids, ids[:3]])
    assert len(by_ids.data) == 2 and by_ids.usage.prompt_tokens >= len(ids) + 3


def test_base64_is_the_same_numbers_as_little_endian_float32(embedding: Embedding) -> None:
    with httpx.Client(base_url=embedding.url) as http:
        written = [
            http.post(PATH, json={"input": TEXTS, "encoding_format": kind}).json()["data"]
            for kind in ("float", "base64")
        ]
    for plain, packed in zip(*written, strict=True):
        numbers = np.frombuffer(base64.b64decode(packed["embedding"]), "<f4")
        assert np.array_equal(np.array(plain["embedding"], np.float32), numbers)


def test_fewer_dimensions_are_the_first_ones_as_a_unit_vector(embedding: Embedding) -> None:
    client = embedding.client()
    whole = client.embeddings.create(model="", input=TEXTS[0]).data[0].embedding
    short = client.embeddings.create(model="", input=TEXTS[0], dimensions=8).data[0].embedding
    assert np.allclose(short, np.array(whole[:8]) / np.linalg.norm(whole[:8]), atol=1e-6)


def test_the_models_own_prompt_is_put_before_a_query_when_asked_for(embedding: Embedding) -> None:
    def made(text: str, **more: str) -> list[float]:
        answer = embedding.client().embeddings.create(model="", input=text, extra_body=more)
        return answer.data[0].embedding

    assert np.allclose(made(TEXTS[0], input_type="query"), made(f"query: {TEXTS[0]}"))
    assert np.allclose(made(TEXTS[0], input_type="document"), made(f"passage: {TEXTS[0]}"))
    assert not np.allclose(made(TEXTS[0]), made(TEXTS[0], input_type="query"))


def test_the_embedder_is_among_the_models(embedding: Embedding) -> None:
    listed = embedding.client().models.list().data
    kinds = {model.id: (model.model_extra or {})["kind"] for model in listed}
    assert kinds["tiny-embedder"] == "embedding" and kinds["standin"] == "text"
    assert embedding.client().models.retrieve("tiny-embedder").id == "tiny-embedder"


@pytest.mark.parametrize(
    ("fields", "status", "shown"),
    [
        ({"input": ""}, 400, "input"),
        ({"input": ["はい", ""]}, 400, "input 1"),
        ({"input": []}, 400, "input"),
        ({"input": ["x"] * 2049}, 400, "input"),
        ({"input": [[]]}, 400, "input"),
        ({"input": [-1]}, 400, "input"),
        ({"input": [1 << 23]}, 400, "input"),
        ({"input": [0.5]}, 400, "input"),
        ({"input": [[1], "x"]}, 400, "input"),
        ({"input": "あ" * 300_001}, 400, "300,000"),
        ({"input": "x", "dimensions": 33}, 400, "32"),
        ({"input": "x", "dimensions": 0}, 400, "dimensions"),
        ({"input": "x", "dimensions": True}, 400, "dimensions"),
        ({"input": "x", "encoding_format": "int8"}, 400, "encoding_format"),
        ({"input": "x", "unknown": 1}, 400, "unknown"),
        ({"input": "x", "model": "standin"}, 400, "embedding"),
        ({"input": "x", "model": "nowhere"}, 404, "nowhere"),
        ({"input": "x", "input_type": "title"}, 400, "input_type"),
        ({}, 400, "input"),
    ],
    ids=lambda value: next(iter(value), "nothing") if isinstance(value, dict) else "",
)
def test_what_cannot_be_embedded_is_refused_clearly(
    embedding: Embedding, fields: dict[str, Any], status: int, shown: str
) -> None:
    answer = httpx.post(embedding.url + PATH, json=fields)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert shown in f"{error['param']}: {error['message']}"


def test_without_an_embedder_the_error_says_what_to_do(server: Server) -> None:
    refused = httpx.post(server.url + PATH, json={"input": "はい"})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "model"


def test_another_servers_model_makes_embeddings_too(embedding: Embedding) -> None:
    entry = f'base_url = "{embedding.url}/v1"\nmodel = "tiny-embedder"\n'
    (embedding.models_dir / "far.toml").write_text(entry, encoding="utf-8")
    client = embedding.client()
    near = client.embeddings.create(model="tiny-embedder", input=TEXTS, dimensions=16)
    far = client.embeddings.create(model="far", input=TEXTS, dimensions=16)
    assert far.model == "far" and far.usage == near.usage
    for one, other in zip(near.data, far.data, strict=True):
        assert np.allclose(one.embedding, other.embedding, atol=1e-6)
    with pytest.raises(openai.BadRequestError, match="32 dimensions"):
        client.embeddings.create(model="far", input=TEXTS, dimensions=999)


def test_a_killed_embedder_is_started_again(embedding: Embedding) -> None:
    embedding.client().embeddings.create(model="", input="はい")
    embedding.process.stop()
    assert embedding.client().embeddings.create(model="", input="はい").data
