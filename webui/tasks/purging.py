"""Purging: what was deleted leaves the disk once nobody can want it back. Knows no pages.

At a start, every minute and at a stop; on request at once. Deleting hides; only this removes.
"""

import asyncio
import logging

from webui.errors import AppError
from webui.storage import Storage

UNDO_S = 600.0  # the page offers to restore for some seconds; nobody has to hurry
EVERY_S = 60.0

log = logging.getLogger(__name__)


def purge(storage: Storage, older_than_s: float = UNDO_S, owner: str | None = None) -> int:
    """Removes for good what was deleted longer ago, of everybody or one; how many things.

    Afterwards the words are in no file, unless somebody is reading just now: then the next call
    does the rest. Blocking: call it in a thread. Raises StorageError.
    """
    num_purged = storage.purge_deleted(older_than_s, owner)
    storage.empty_log()
    return num_purged


async def purge_regularly(
    storage: Storage, every_s: float = EVERY_S, older_than_s: float = UNDO_S
) -> None:
    """Until it is cancelled."""
    while True:
        await _try(storage, older_than_s)
        await asyncio.sleep(every_s)


async def purge_at_stop(storage: Storage) -> None:
    """Everything: no page is left that could restore."""
    await _try(storage, 0)


async def _try(storage: Storage, older_than_s: float) -> None:
    try:
        await asyncio.to_thread(purge, storage, older_than_s)
    except AppError as error:  # a full disk, perhaps: the next try may do
        log.warning("what was deleted could not be purged: %s", error)
