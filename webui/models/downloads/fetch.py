"""The child process that fetches. Ends when its parent does.

    python -m webui.models.downloads.fetch      (one JSON frame on stdin; JSON frames on stdout)

A child, because the page must never wait for a network or a disk, because pausing is ending it,
and because huggingface_hub is configured by the environment once, at its import.
"""

import contextlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_url
from huggingface_hub.utils import _detect_agent
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import get_session

from webui.models.downloads.folders import fetch_folder
from webui.models.downloads.messages import DownloadRequest, FolderRequest, line
from webui.models.downloads.part_file import Report
from webui.models.downloads.transfer import explain, fetch_file
from webui.processes.parent import end_with_parent, pipe_to_parent
from webui.processes.wire import read_frame, write_frame

CHUNK_BYTES = 1 << 18  # huggingface_hub's own 10 MB would show nothing for ten seconds at 1 MB/s
MAX_LICENSE_BYTES = 200_000


def main() -> None:
    task = json.loads(read_frame(sys.stdin.buffer) or b"{}")
    pipe = pipe_to_parent()
    end_with_parent()
    _ask_for_nothing_else()

    def say(text: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody listens; stdin's end will finish us
            write_frame(pipe, text.encode())

    try:
        say(_done(task, say))
    except Exception as error:
        repository, file = task["repository"], task.get("file", "")
        explained = explain(error, repository, file, task.get("name") or Path(file).name)
        say(line("error", key=explained.key, values=explained.values))
    os._exit(0)  # the thread above waits for ever


def _done(task: Mapping[str, str], say: Report) -> str:
    """The last message. Raises what explain() explains."""
    if task["task"] == "inspect":
        return _inspect(task["repository"])
    folder = Path(task["folder"])
    if task["task"] == "fetch_folder":
        wanted = FolderRequest(task["repository"], task["name"])
        return line("done", num_bytes=fetch_folder(wanted, folder, say))
    request = DownloadRequest(task["repository"], task["file"], task["sha256"])
    return line("done", num_bytes=fetch(request, folder, say))


def fetch(request: DownloadRequest, folder: Path, report: Report) -> int:
    """One GGUF into the models folder; its bytes. Raises what explain() explains."""
    folder.mkdir(parents=True, exist_ok=True)
    return fetch_file(request, folder / request.name, report)


def _ask_for_nothing_else() -> None:
    """Small chunks; and not the hub's list of programs to look for in the environment."""
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    _detect_agent._registry = {"standardEnvVars": [], "harnesses": {}}


def _inspect(repository: str) -> str:
    info = HfApi().model_info(repository, files_metadata=True)
    siblings = info.siblings or []
    files = [
        {
            "file": file.rfilename,
            "num_bytes": file.size or 0,
            "sha256": str((file.lfs or {"sha256": ""})["sha256"]),
        }
        for file in siblings
        if file.rfilename.lower().endswith(".gguf")
    ]
    license_file = next((f.rfilename for f in siblings if _is_license(f.rfilename)), "")
    card = info.card_data
    values = {
        "repository": repository,
        "is_gated": bool(info.gated),
        "license": str((card and (card.get("license_name") or card.get("license"))) or ""),
        "license_text": _license_text(repository, license_file) if license_file else "",
        "num_downloads": info.downloads or 0,
    }
    return line("info", info=values, files=files)


def _is_license(name: str) -> bool:
    return name.upper().split(".")[0] in ("LICENSE", "LICENCE", "COPYING", "USE_POLICY")


def _license_text(repository: str, file: str) -> str:
    url = hf_hub_url(repository, file, endpoint=constants.ENDPOINT)
    response = get_session().get(url, headers=build_hf_headers(), follow_redirects=True)
    response.raise_for_status()
    return str(response.content[:MAX_LICENSE_BYTES].decode(errors="replace"))


if __name__ == "__main__":
    main()
