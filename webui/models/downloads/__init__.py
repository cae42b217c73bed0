"""Downloads of models from the Hugging Face hub, or a mirror of it; only when somebody asks.

`queue` keeps what is being fetched, `fetch` is the child process that does it (one file by
`transfer`, a model of several by `folders`), `messages` is what they say to each other.
"""

from webui.models.downloads.messages import (
    DownloadError,
    DownloadRequest,
    FolderRequest,
    RemoteFile,
    RepositoryInfo,
)
from webui.models.downloads.queue import Download, Downloads, DownloadState

__all__ = [
    "Download",
    "DownloadError",
    "DownloadRequest",
    "DownloadState",
    "Downloads",
    "FolderRequest",
    "RemoteFile",
    "RepositoryInfo",
]
