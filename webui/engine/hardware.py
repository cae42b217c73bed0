"""What this machine has."""

import os

import psutil


def physical_cores() -> int:
    """Cores that this process may use; hyper-threads do not make llama.cpp faster."""
    cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return max(1, min(cores, len(os.sched_getaffinity(0))))
    return cores
