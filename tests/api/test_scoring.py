"""echo with logprobs: the likelihood of a text that is given, as evaluations ask for it."""

from typing import Any

import httpx
import pytest

from tests.api.test_bad_input import TEXT, refused

PROMPT = "これは動作確認のための仮のモデルです。はい、わかりました。" * 3


def scored(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = http.post(TEXT, json={"echo": True, "logprobs": 2, "max_tokens": 0, **fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_every_token_of_the_prompt_but_the_first_has_its_likelihood(http: httpx.Client) -> None:
    answer = scored(http, prompt=PROMPT)
    choice = answer["choices"][0]
    told = choice["logprobs"]
    assert choice["text"] == PROMPT and choice["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 0
    assert "".join(told["tokens"]).removeprefix("<s>").strip() == PROMPT
    assert told["token_logprobs"][0] is None and told["top_logprobs"][0] is None
    assert len(told["tokens"]) == answer["usage"]["prompt_tokens"]
    for token, logprob, likely in zip(
        told["tokens"][1:], told["token_logprobs"][1:], told["top_logprobs"][1:], strict=True
    ):
        assert likely[token] == logprob <= max(likely.values()) <= 0
        assert 2 <= len(likely) <= 3


def test_the_likelihoods_are_those_of_writing_the_same_text(http: httpx.Client) -> None:
    """Computed in one go and token by token: the same but for the rounding of a batch."""
    ids = http.post("/v1/tokenize", json={"content": PROMPT}).json()["tokens"]
    written = http.post(
        TEXT, json={"prompt": ids[:5], "max_tokens": 20, "temperature": 0, "logprobs": 1}
    ).json()["choices"][0]
    spelled = http.post("/v1/detokenize", json={"tokens": ids[:5]}).json()["content"]
    text = spelled + written["text"]
    again = http.post("/v1/tokenize", json={"content": text}).json()["tokens"]
    told = scored(http, prompt=again)["choices"][0]["logprobs"]
    if told["tokens"][5:25] == written["logprobs"]["tokens"]:  # else it is tokenised otherwise
        for one, other in zip(
            told["token_logprobs"][5:25], written["logprobs"]["token_logprobs"], strict=True
        ):
            assert abs(one - other) < 0.1


def test_a_long_prompt_is_scored_in_parts_and_twice_the_same(http: httpx.Client) -> None:
    first, second = (scored(http, prompt=PROMPT * 4)["choices"][0]["logprobs"] for _ in range(2))
    assert first["tokens"] == second["tokens"]
    pairs = zip(first["token_logprobs"][1:], second["token_logprobs"][1:], strict=True)
    assert all(abs(one - other) < 0.1 for one, other in pairs)


def test_several_prompts_one_token_and_what_is_written_behind(http: httpx.Client) -> None:
    answer = scored(http, prompt=[[5], [5, 6, 7]], max_tokens=2, temperature=0)
    for choice, num_prompt in zip(answer["choices"], (1, 3), strict=True):
        told = choice["logprobs"]
        assert len(told["tokens"]) == len(told["token_logprobs"]) <= num_prompt + 2
        assert told["token_logprobs"][0] is None and told["text_offset"][0] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_the_token_itself_is_always_among_the_likely(http: httpx.Client, stream: bool) -> None:
    body = {"prompt": "はい", "max_tokens": 8, "temperature": 2, "seed": 1, "logprobs": 1}
    if stream:
        assert '"logprobs":{' in http.post(TEXT, json={**body, "stream": True}).text
        return
    told = http.post(TEXT, json=body).json()["choices"][0]["logprobs"]
    assert all(
        token in likely for token, likely in zip(told["tokens"], told["top_logprobs"], strict=True)
    )


def test_a_gap_is_filled_only_by_models_that_can(http: httpx.Client) -> None:
    error = refused(http.post(TEXT, json={"prompt": "x", "suffix": "y", "max_tokens": 1}))
    assert error["param"] == "suffix"
