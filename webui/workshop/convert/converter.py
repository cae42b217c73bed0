"""The child process that writes a Hugging Face folder as one GGUF; the `gguf` package's only door.

    python -m webui.workshop.convert.converter FOLDER TARGET TYPE

One stretch of rows is in memory at a time, and one tensor as it will be written. Knows nothing
about where the result belongs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt

from webui.processes.parent import Say, work_for_parent
from webui.workshop.convert.architectures import Planned, architecture_of, plan
from webui.workshop.convert.check import check_tokens
from webui.workshop.convert.errors import ConvertError
from webui.workshop.convert.hyperparameters import Config
from webui.workshop.convert.metadata import Metadata, metadata_of, rope_factors
from webui.workshop.convert.safetensors import read_tensors
from webui.workshop.convert.specials import Specials, read_specials
from webui.workshop.convert.vocabulary import Vocabulary, read_vocabulary

FILE_TYPES = {
    "F16": gguf.LlamaFileType.MOSTLY_F16,
    "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}
CHUNK = 1 << 23  # weights in memory as float32 at a time
MAX_F16 = float(np.finfo(np.float16).max)
Q8 = gguf.GGMLQuantizationType.Q8_0


def main() -> None:
    folder, target, kind = sys.argv[1:]
    work_for_parent(lambda say: convert(Path(folder), Path(target), kind, say))


def convert(folder: Path, target: Path, kind: str, say: Say) -> None:
    """Raises ConvertError, OSError."""
    config = Config(folder)
    planned = plan(config, read_tensors(folder))
    vocabulary = read_vocabulary(folder)
    embedding = next(one.source for one in planned if one.name == "token_embd.weight")
    vocabulary.fit(embedding.shape[0])
    writer = gguf.GGUFWriter(target, architecture_of(config).gguf_name)
    try:
        writer.add_name(folder.resolve().name)
        writer.add_file_type(FILE_TYPES[kind])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        _add_metadata(writer, metadata_of(config))
        _add_vocabulary(writer, vocabulary, read_specials(folder, vocabulary.pieces))
        _write(writer, planned, rope_factors(config), kind, say)
    finally:
        writer.close()
    check_tokens(folder, target)
    say("done")


def _write(
    writer: gguf.GGUFWriter,
    planned: Sequence[Planned],
    factors: npt.NDArray[np.float32] | None,
    kind: str,
    say: Say,
) -> None:
    """The table of tensors, then their data."""
    if factors is not None:
        writer.add_tensor_info("rope_freqs.weight", factors.shape, factors.dtype, factors.nbytes)
    for one in planned:
        _add_tensor(writer, one, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    if factors is not None:
        writer.write_tensor_data(factors)
    total, done = sum(one.source.num_bytes for one in planned), 0
    for one in planned:
        writer.write_tensor_data(_converted(one, kind))
        done += one.source.num_bytes
        say("progress", done=done, total=total)


def _add_metadata(writer: gguf.GGUFWriter, metadata: Metadata) -> None:
    for key, value in metadata.items():
        full = f"{writer.arch}.{key}"
        if isinstance(value, str):
            writer.add_string(full, value)
        elif isinstance(value, bool):
            writer.add_bool(full, value)
        elif isinstance(value, int):
            writer.add_uint32(full, value)
        else:
            writer.add_float32(full, value)


def _add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary, specials: Specials) -> None:
    writer.add_vocab_size(len(vocabulary.pieces))
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre or "default")
    writer.add_token_list(vocabulary.pieces)
    writer.add_token_types(vocabulary.kinds)
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
        writer.add_add_space_prefix(vocabulary.add_space_prefix)
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    adders = {
        "bos": writer.add_bos_token_id, "eos": writer.add_eos_token_id,
        "unk": writer.add_unk_token_id, "pad": writer.add_pad_token_id,
        "eot": writer.add_eot_token_id,
    }  # fmt: skip
    for name, number in specials.ids.items():
        adders[name](number)
    writer.add_add_bos_token(specials.add_bos)
    writer.add_add_eos_token(False)
    if specials.chat_template:
        writer.add_chat_template(specials.chat_template)


def _add_tensor(writer: gguf.GGUFWriter, one: Planned, kind: str) -> None:
    dtype, shape, raw = _target(one, kind)
    num_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    writer.add_tensor_info(one.name, shape, np.dtype(dtype), num_bytes, raw)


def _target(
    one: Planned, kind: str
) -> tuple[type[np.generic], tuple[int, ...], gguf.GGMLQuantizationType | None]:
    """NumPy's type and shape of what is written: vectors stay exact, odd rows at two bytes."""
    shape = one.source.shape
    if len(shape) == 1:
        return np.float32, shape, None
    if kind == "Q8_0" and shape[-1] % 32 == 0:
        return np.uint8, (*shape[:-1], shape[-1] // 32 * 34), Q8
    return np.float16, shape, None


def _converted(one: Planned, kind: str) -> npt.NDArray[np.generic]:
    dtype, shape, raw = _target(one, kind)
    out = np.empty(shape, dtype)
    step = max(1, CHUNK // max(1, int(np.prod(one.source.shape[1:]))))
    for start in range(0, shape[0], step):
        part = slice(start, start + step)
        rows = one.source.rows(part if one.order is None else one.order[part])
        rows = (rows + np.float32(one.plus)) * np.float32(one.times)
        if not np.isfinite(rows).all():
            raise ConvertError("convert.not_finite", name=one.name)
        if dtype is np.float16 and np.abs(rows).max() > MAX_F16:
            raise ConvertError("convert.too_large_for_f16", name=one.name)
        out[part] = gguf.quants.quantize(rows, raw) if raw is not None else rows
    return out


if __name__ == "__main__":
    main()
