"""Fields of a request as clients really send them → those of schemas.py.

Harmless ones are dropped, other servers' names for the same thing are honoured, values that ask
for nothing are left out. What cannot be done is refused in a sentence that says what to send.
docs/api.md lists these tables; a test compares them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from webui.tasks.pieces import BadAskError

Body = dict[str, Any]

# They change no answer: hints, bookkeeping, other servers' caches and diagnostics.
IGNORED = frozenset(
    "user metadata store service_tier safety_identifier prompt_cache_key prompt_cache_retention"
    " verbosity prediction usage keep_alive session_id request_id priority provider transforms"
    " route models cache_prompt cache_salt id_slot slot_id n_keep n_indent timings_per_token"
    " return_progress return_tokens return_token_ids post_sampling_probs samplers sampler_seq"
    " sampler_order sampler_priority stream_interval skip_special_tokens"
    " spaces_between_special_tokens add_special_tokens chat_template_content_format"
    " parse_tool_calls reasoning_format include_reasoning reasoning_in_content"
    " separate_reasoning preset character"
    " instruction_template mode interaction_mode extra_body extra_headers t_max_predict_ms"
    " t_max_prompt_ms truncation truncation_length conversation_id parent_id chat_id id"
    " background_tasks features variables tool_ids tool_servers model_item filter_ids".split()
)
# Other names of the same thing.
RENAMED = {
    "n_predict": "max_tokens",
    "num_predict": "max_tokens",
    "max_new_tokens": "max_tokens",
    "max_gen_len": "max_tokens",
    "max_output_tokens": "max_tokens",
    "repetition_penalty": "repeat_penalty",
    "random_seed": "seed",
    "num_ctx_predict": "max_tokens",
    "typical": "typical_p",
    "repeat_last_n": "penalty_last_n",
    "repetition_penalty_range": "penalty_last_n",
    "stop_sequences": "stop",
    "stop_strings": "stop",
    "json_schema": "schema",
    "guided_json": "schema",
    "guided_choice": "choice",
    "guided_regex": "regex",
    "guided_grammar": "grammar",
    "ebnf": "grammar",
    "regex_pattern": "regex",
}
# Values that ask for nothing: with these a field is as good as absent.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "add_generation_prompt": (True, False),
    "audio": (),
    "best_of": (1,),
    "bad_words": (),
    "documents": (),
    "dry_allowed_length": (1, 2),
    "dry_base": (1.75,),
    "dry_multiplier": (0,),
    "dry_penalty_last_n": (-1, 0),
    "dry_sequence_breakers": (["\n", ":", '"', "*"],),
    "dynatemp_exponent": (1,),
    "dynatemp_range": (0,),
    "early_stopping": (False,),
    "echo": (False,),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "frequency_penalty": (),
    "include_stop_str_in_output": (False,),
    "length_penalty": (0, 1),
    "lora": (),
    "max_completion_tokens": (-1,),
    "max_tokens": (-1, -2),
    "min_tokens": (0,),
    "mirostat": (0,),
    "mirostat_eta": (0.1,),
    "mirostat_mode": (0,),
    "mirostat_tau": (5,),
    "no_repeat_ngram_size": (0,),
    "num_beams": (1,),
    "penalty_alpha": (0,),
    "penalty_last_n": (-1,),
    "prompt_logprobs": (0,),
    "seed": (-1,),
    "smoothing_factor": (0,),
    "suffix": (),
    "tfs": (1,),
    "tfs_z": (1,),
    "top_a": (0,),
    "top_k": (-1,),
    "top_n_sigma": (-1, 0),
    "truncate_prompt_tokens": (-1,),
    "typical_p": (0, 1),
    "use_beam_search": (False,),
    "web_search_options": (),
    "xtc_probability": (0,),
    "xtc_threshold": (0.1,),
    "do_sample": (True,),
    "media": (),
    "images": (),
    "videos": (),
    "custom_logit_processor": (),
    "logits_processors": (),
    "negative_prompt": (),
    "cfg_scale": (1,),
    "guidance_scale": (1,),
    "input_ids": (),
    "stop_token_ids": (),
    "chat_template": (),
    "context_shift": (False,),
}
NUMBERS = frozenset(
    "temperature top_p top_k min_p repeat_penalty presence_penalty frequency_penalty seed"
    " max_tokens max_completion_tokens n logprobs top_logprobs penalty_last_n best_of".split()
)
EMPTY: tuple[Any, ...] = (None, "", [], {}, [""])
# These would change the answer, and we cannot do them: what to send instead.
IMPOSSIBLE = {
    "audio": "text_only",
    "media": "text_only",
    "images": "text_only",
    "videos": "text_only",
    "web_search_options": "own_search",
    "stop_token_ids": "use_stop",
    "include_stop_str_in_output": "leave_out",
    "chat_template": "own_template",
    "documents": "own_documents",
    "input_ids": "use_prompt",
    "truncate_prompt_tokens": "never_cut",
    "context_shift": "never_cut",
}


def tidied(body: Mapping[str, Any]) -> Body:
    """`body` with our names only. Raises BadAskError for what cannot be done."""
    tidy: Body = {}
    for name, value in body.items():
        ours = RENAMED.get(name, name)
        if name in IGNORED or _is_neutral(ours, value) or tidy.get(ours) is not None:
            continue
        tidy[ours] = _whole(value)
    for name, take in _TAKERS.items():
        if name in tidy:
            take(tidy, tidy.pop(name))
    for name in tidy:
        if name in NEUTRAL and name not in OFFERED:
            key = IMPOSSIBLE.get(name, "leave_out")
            raise BadAskError(f"serving.{key}", name)
    return tidy


OFFERED = frozenset(
    "frequency_penalty max_completion_tokens max_tokens penalty_last_n seed top_k echo suffix"
    " best_of".split()
)


def _is_neutral(name: str, value: Any) -> bool:
    if name in ("messages", "prompt", "input", "model"):
        return name == "model" and value is None
    if name in NUMBERS:
        return value is None or _is_among(value, NEUTRAL.get(name, ()))
    if any(value is empty or (type(value) is type(empty) and value == empty) for empty in EMPTY):
        return True
    return _is_among(value, NEUTRAL.get(name, ()))


def _is_among(value: Any, known: tuple[Any, ...]) -> bool:
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in known)


def _whole(value: Any) -> Any:
    """100.0 as 100: some languages write every number so."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53
    return int(value) if is_whole else value


def _schema(body: Body, schema: Any) -> None:
    _set_format(body, {"type": "json_schema", "json_schema": {"schema": schema}})


def _choice(body: Body, choices: Any) -> None:
    _set_format(body, {"type": "choice", "choices": choices})


def _regex(body: Body, pattern: Any) -> None:
    _set_format(body, {"type": "regex", "pattern": pattern})


def _structured(body: Body, wanted: Any) -> None:
    """vLLM's structured_outputs: one of json, choice, regex, grammar."""
    takers = {"json": _schema, "choice": _choice, "regex": _regex}
    given = {k: v for k, v in wanted.items() if v not in EMPTY} if _is_object(wanted) else {}
    kinds = [kind for kind in given if kind in takers or kind == "grammar"]
    if len(kinds) != 1:
        raise BadAskError("serving.one_kind", "structured_outputs")
    if kinds[0] == "grammar":
        body["grammar"] = given["grammar"]
    else:
        takers[kinds[0]](body, given[kinds[0]])


def _set_format(body: Body, wanted: Body) -> None:
    if body.get("response_format", {"type": "text"}) != {"type": "text"}:
        raise BadAskError("serving.not_together", "response_format", other="structured_outputs")
    body["response_format"] = wanted


def _kwargs(body: Body, values: Any) -> None:
    """chat_template_kwargs: the switch for thinking, and whatever else the template reads."""
    if not _is_object(values):
        raise BadAskError("serving.object_wanted", "chat_template_kwargs")
    rest = dict(values)
    for name in ("enable_thinking", "thinking"):
        if isinstance(rest.get(name), bool):
            body.setdefault("enable_thinking", rest.pop(name))
    if isinstance(rest.get("reasoning_effort"), str):
        body.setdefault("reasoning_effort", rest.pop("reasoning_effort"))
    if rest:
        body["template_variables"] = rest


def _thinking(body: Body, value: Any) -> None:
    """{"type": "enabled"}, as others name the switch; or true, or an effort."""
    if _is_object(value) and isinstance(value.get("type"), str):
        body.setdefault("enable_thinking", value["type"] != "disabled")
    elif isinstance(value, bool):
        body.setdefault("enable_thinking", value)
    elif isinstance(value, str):
        body.setdefault("reasoning_effort", value)


def _reasoning(body: Body, value: Any) -> None:
    """{"effort": …, "enabled": …}, OpenRouter's and the Responses API's."""
    if not _is_object(value):
        raise BadAskError("serving.object_wanted", "reasoning")
    if isinstance(value.get("effort"), str):
        body.setdefault("reasoning_effort", value["effort"])
    elif isinstance(value.get("enabled"), bool):
        body.setdefault("enable_thinking", value["enabled"])


def _continue(body: Body, value: Any) -> None:
    """The last message is gone on with when it is the assistant's, said or not."""
    messages = body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if value is True and not (isinstance(last, dict) and last.get("role") == "assistant"):
        raise BadAskError("serving.nothing_to_continue", "continue_final_message")


def _biases(body: Body, value: Any) -> None:
    """[[id, bias], …], llama.cpp's form, as an object; false there means never."""
    if isinstance(value, list):
        pairs = [pair for pair in value if isinstance(pair, list) and len(pair) == 2]
        if len(pairs) < len(value):
            raise BadAskError("serving.object_wanted", "logit_bias")
        value = {str(key): -100 if bias is False else bias for key, bias in pairs}
    body["logit_bias"] = value


def _num_probs(body: Body, value: Any) -> None:
    """llama.cpp's n_probs."""
    if isinstance(value, int) and value > 0 and "messages" in body:
        body |= {"logprobs": True, "top_logprobs": value}
    elif isinstance(value, int) and value > 0:
        body["logprobs"] = value


def _format(body: Body, wanted: Any) -> None:
    """The schema where others put it: beside the type."""
    if _is_object(wanted) and wanted.get("schema") and "json_schema" not in wanted:
        schema = {"schema": wanted["schema"]}
        wanted = {"type": "json_schema", "json_schema": schema}
    if _is_object(wanted) and wanted.get("type") == "json_schema":
        inner = wanted.get("json_schema")
        if _is_object(inner):
            known = ("name", "description", "schema", "strict")
            inner = {k: v for k, v in inner.items() if k in known and v is not None}
            wanted = {"type": "json_schema", "json_schema": inner}
    if _is_object(wanted) and wanted.get("type") == "json_object":
        wanted = {"type": "json_object"}
    body["response_format"] = wanted


def _stream_options(body: Body, options: Any) -> None:
    if _is_object(options) and options.get("continuous_usage_stats"):
        raise BadAskError("serving.leave_out", "stream_options.continuous_usage_stats")
    if _is_object(options):
        options = {k: v for k, v in options.items() if k != "continuous_usage_stats"}
    body["stream_options"] = options


def _stop(body: Body, stops: Any) -> None:
    """Without the empty ones, which stop nothing."""
    body["stop"] = [stop for stop in stops if stop != ""] if isinstance(stops, list) else stops


def _options(body: Body, options: Any) -> None:
    """Ollama's place for settings; those about loading a model are the server's business."""
    if not _is_object(options):
        raise BadAskError("serving.object_wanted", "options")
    for name, value in options.items():
        ours = RENAMED.get(name, name)
        if ours in OPTIONS and not _is_neutral(ours, value):
            body.setdefault(ours, _whole(value))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


_TAKERS: dict[str, Callable[[Body, Any], None]] = {
    "options": _options,
    "response_format": _format,
    "schema": _schema,
    "choice": _choice,
    "regex": _regex,
    "structured_outputs": _structured,
    "chat_template_kwargs": _kwargs,
    "thinking": _thinking,
    "think": _thinking,
    "reasoning": _reasoning,
    "continue_final_message": _continue,
    "logit_bias": _biases,
    "n_probs": _num_probs,
    "stream_options": _stream_options,
    "stop": _stop,
}
OPTIONS = NUMBERS | {"stop"}
HONOURED = {
    **{name: f"`{ours}`" for name, ours in RENAMED.items()},
    "structured_outputs": "`response_format`, `grammar`",
    "chat_template_kwargs": "`enable_thinking`, `reasoning_effort`; the rest for the template",
    "thinking": "`enable_thinking`",
    "think": "`enable_thinking`",
    "reasoning": "`reasoning_effort`",
    "continue_final_message": "it is always so",
    "n_probs": "`logprobs`",
    "options": "the fields in it",
    "functions": "`tools`",
    "function_call": "`tool_choice`",
}
