"""Files that only this user may read: made so, and made so again in a folder from before.

The data folder may be one that other things live in too (a home folder), so only what is ours is
touched. Knows nothing about what is in the files.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PRIVATE_UMASK = 0o077  # of the server: whatever it or a library writes is this user's alone
MODELS_UMASK = 0o022  # of children that write models, which are no secret
FILE_MODE, FOLDER_MODE = 0o600, 0o700
OURS = (  # in the data folder, with everything below
    "kajogaki.db*",
    "users.json*",
    "settings.toml",
    "lock",
    "bench-text.txt",
    "documents",
    "families",
    "gradio",
    "temporary",
    "vectors",
)


def make_private(data_dir: Path) -> None:
    """The folder, made if missing, and what is ours in it; links are not followed.

    Raises OSError for the folder itself.
    """
    data_dir.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    _restrict(data_dir, FOLDER_MODE)
    for path in _ours(data_dir):
        # What somebody else owns, or has just removed, is left as it is.
        with contextlib.suppress(OSError):
            if not path.is_symlink():
                _restrict(path, FOLDER_MODE if path.is_dir() else FILE_MODE)


def _ours(data_dir: Path) -> Iterator[Path]:
    for pattern in OURS:
        for path in data_dir.glob(pattern):
            yield path
            if path.is_dir() and not path.is_symlink():
                for folder, folders, files in os.walk(path):
                    yield from (Path(folder, name) for name in (*folders, *files))


def _restrict(path: Path, mode: int) -> None:
    """Takes rights away, and gives none."""
    now = path.stat().st_mode & 0o777
    if now & ~mode:
        path.chmod(now & mode)
