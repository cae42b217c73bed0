"""Files that only this user may read: made so, and made so again in a folder from before.

The data folder may be one that other things live in too (a home folder), so only what is ours is
touched. Knows nothing about what is in the files.
"""

import contextlib
import os
import shutil
import tempfile
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
    "kajogaki-temporary",
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


def use_private_temporary(data_dir: Path) -> None:
    """Temporary files, also those of children, go to an empty folder of ours.

    What a killed process leaves in the machine's own would stay there, with somebody's words in it.
    Raises OSError.
    """
    folder = data_dir / "kajogaki-temporary"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)


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
