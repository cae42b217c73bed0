"""Makes .venv and installs the pinned packages. Standard library only; runs on a bare Python 3.11+.

    python3 scripts/install.py          what the application needs
    python3 scripts/install.py --dev    also what the tests and checks need

llama-cpp-python is compiled here unless a prebuilt wheel can be had; PyTorch is the CPU build
unless there is an NVIDIA GPU. An index outside the configured registry is used only when it
answers within seconds. A second run with the same pins does nothing.
"""

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if platform.system() == "Windows" else "bin/python")
CONSTRAINTS = ROOT / "constraints.txt"
LLAMA_WHEELS = "https://abetlen.github.io/llama-cpp-python/whl/cpu"
TORCH_WHEELS = "https://download.pytorch.org/whl/cpu"
REACHABLE_WITHIN_S = 3
USES_TORCH = ("sentence-transformers",)


def main() -> int:
    dev = "--dev" in sys.argv[1:]
    if sys.version_info < (3, 11):  # noqa: UP036 (somebody's python3 may be older)
        return fail("Python 3.11 以上が必要です。 / Python 3.11 or newer is needed.")
    stamp = VENV / ("installed-dev" if dev else "installed")
    wanted = fingerprint()
    if any(is_current(VENV / name, wanted) for name in {stamp.name, "installed-dev"}):
        return 0
    started = time.monotonic()
    try:
        create_environment()
        install_llama()
        with_torch = install_torch()
        install_rest(dev=dev, with_torch=with_torch)
    except subprocess.CalledProcessError as error:
        return fail(f"インストールに失敗しました。上の表示を確かめてください。 / Failed: {error}")
    stamp.write_text(wanted, encoding="utf-8")
    say(f"準備ができました（{time.monotonic() - started:.0f} 秒）。 / Ready.")
    return 0


def fingerprint() -> str:
    """Changes whenever something else would be installed."""
    parts = [(ROOT / "pyproject.toml").read_bytes(), CONSTRAINTS.read_bytes(), sys.version.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def is_current(stamp: Path, wanted: str) -> bool:
    return PYTHON.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted


def create_environment() -> None:
    if not PYTHON.exists():
        say(".venv を作ります。 / Creating .venv")
        venv.create(VENV, with_pip=True)


def install_llama() -> None:
    say(
        "llama-cpp-python を入れます。配布済みのものが無ければコンパイルします"
        "（2 コアで約 7 分、初回だけ）。 / Installing llama-cpp-python; compiled here if there is"
        " no wheel (about 7 minutes on 2 cores, once)."
    )
    extra = ["--extra-index-url", LLAMA_WHEELS] if is_reachable(LLAMA_WHEELS) else []
    pip("--prefer-binary", *extra, "llama-cpp-python")


def install_torch() -> bool:
    """PyTorch without CUDA where there is no NVIDIA GPU. False when only CUDA could be had."""
    extra: list[str] = []
    if platform.system() == "Linux" and shutil.which("nvidia-smi") is None:
        if is_reachable(TORCH_WHEELS):
            extra = ["--index-url", TORCH_WHEELS]
        elif would_pull_cuda():
            say(
                "PyTorch の CPU 版に届かないため、埋め込みモデルの部品は後回しにします。チャットは"
                "使えます。 / The CPU build of PyTorch cannot be reached; embedding models are left"
                " out for now, chatting works."
            )
            return False
    say("PyTorch を入れます（約 200 MB）。 / Installing PyTorch (about 200 MB)")
    pip(*extra, "torch")
    return True


def would_pull_cuda() -> bool:
    """Ask pip what it would install, without installing."""
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--dry-run", "--report", "-"]
    command += ["--ignore-installed", "-c", str(CONSTRAINTS), "torch"]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    names = [item["metadata"]["name"] for item in json.loads(result.stdout)["install"]]
    return any(name.startswith(("nvidia", "cuda", "triton")) for name in names)


def install_rest(*, dev: bool, with_torch: bool) -> None:
    import tomllib  # not there before 3.11, where main() has to say so

    say("残りの部品を入れます（1〜2 分）。 / Installing the rest (1-2 minutes)")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = list(project["dependencies"])
    if dev:
        wanted += project["optional-dependencies"]["dev"]
    if not with_torch:
        wanted = [item for item in wanted if not item.startswith(USES_TORCH)]
    pip(*wanted)


def pip(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "-c", str(CONSTRAINTS), *arguments], check=True)


def is_reachable(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "/", timeout=REACHABLE_WITHIN_S):
            return True
    except (OSError, urllib.error.URLError):
        return False


def say(text: str) -> None:
    print(f"[install] {text}", flush=True)


def fail(text: str) -> int:
    print(f"[install] {text}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
