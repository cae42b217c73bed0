"""/v1/embeddings with the official client: the documents' embedder, and another server's."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import psutil
import pytest

from tests.api.servers import Server, serving
from tests.documents.makemodel import static_model

TEXTS = ["東京は日本の首都です。", "りんごは赤い。", "a quick brown fox"]
PATH = "/v1/embeddings"
pytestmark = pytest.mark.thorough  # importing torch takes ten seconds


@pytest.fixture(scope="module")
def embedding(standin: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("embedding")
    static_model(folder / "models" / "tiny-embedder")
    with serving(folder, "--embedder", "tiny-embedder") as server:
        yield server


def test_a_text_a_list_and_token_ids_have_vectors_of_length_one(embedding: Server) -> None:
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


def test_documents_are_ranked_by_their_nearness_to_the_query(embedding: Server) -> None:
    """Without a reranker by the embedder, which puts the very same text first."""
    body = {"query": TEXTS[1], "documents": [*TEXTS, {"text": TEXTS[1]}], "top_n": 3}
    with httpx.Client(base_url=embedding.url, timeout=300) as http:
        told = http.post("/v1/rerank", json={**body, "return_documents": True}).json()
    assert [one["index"] for one in told["results"][:2]] == [1, 3] and len(told["results"]) == 3
    assert told["results"][0]["document"] == {"text": TEXTS[1]}
    assert told["results"][1]["relevance_score"] == told["results"][0]["relevance_score"]
    assert told["model"] == "tiny-embedder"


def test_base64_is_the_same_numbers_as_little_endian_float32(embedding: Server) -> None:
    with httpx.Client(base_url=embedding.url, timeout=300) as http:
        written = [
            http.post(PATH, json={"input": TEXTS, "encoding_format": kind}).json()["data"]
            for kind in ("float", "base64")
        ]
    for plain, packed in zip(*written, strict=True):
        numbers = np.frombuffer(base64.b64decode(packed["embedding"]), "<f4")
        assert np.array_equal(np.array(plain["embedding"], np.float32), numbers)


def test_fewer_dimensions_are_the_first_ones_as_a_unit_vector(embedding: Server) -> None:
    client = embedding.client()
    whole = client.embeddings.create(model="", input=TEXTS[0]).data[0].embedding
    short = client.embeddings.create(model="", input=TEXTS[0], dimensions=8).data[0].embedding
    assert np.allclose(short, np.array(whole[:8]) / np.linalg.norm(whole[:8]), atol=1e-6)


def test_the_models_own_prompt_is_put_before_a_query_when_asked_for(embedding: Server) -> None:
    def made(text: str, **more: str) -> list[float]:
        answer = embedding.client().embeddings.create(model="", input=text, extra_body=more)
        return answer.data[0].embedding

    assert np.allclose(made(TEXTS[0], input_type="query"), made(f"query: {TEXTS[0]}"))
    assert np.allclose(made(TEXTS[0], input_type="document"), made(f"passage: {TEXTS[0]}"))
    assert not np.allclose(made(TEXTS[0]), made(TEXTS[0], input_type="query"))


def test_the_embedder_is_among_the_models(embedding: Server) -> None:
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
    embedding: Server, fields: dict[str, Any], status: int, shown: str
) -> None:
    answer = httpx.post(embedding.url + PATH, json=fields, timeout=300)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert shown in f"{error['param']}: {error['message']}"


def test_without_an_embedder_the_error_says_what_to_do(standin: Path, tmp_path: Path) -> None:
    with serving(tmp_path, "--embedder", "off") as server:
        refused = httpx.post(server.url + PATH, json={"input": "はい"})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "model"


def test_another_servers_model_makes_embeddings_too(embedding: Server) -> None:
    entry = f'base_url = "{embedding.url}/v1"\nmodel = "tiny-embedder"\n'
    (embedding.folder / "models" / "far.toml").write_text(entry, encoding="utf-8")
    client = embedding.client()
    near = client.embeddings.create(model="tiny-embedder", input=TEXTS, dimensions=16)
    far = client.embeddings.create(model="far", input=TEXTS, dimensions=16)
    assert far.model == "far" and far.usage == near.usage
    for one, other in zip(near.data, far.data, strict=True):
        assert np.allclose(one.embedding, other.embedding, atol=1e-6)
    with pytest.raises(openai.BadRequestError, match="32 dimensions"):
        client.embeddings.create(model="far", input=TEXTS, dimensions=999)


def test_a_killed_embedder_is_started_again(embedding: Server) -> None:
    embedding.client().embeddings.create(model="", input="はい")
    children = psutil.Process(embedding.process.pid).children()
    (worker,) = [child for child in children if child.cmdline()[-1] == "embedder"]
    worker.kill()
    assert embedding.client().embeddings.create(model="", input="はい").data
