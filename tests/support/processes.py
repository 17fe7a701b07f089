"""Processes started by this one, from ``/proc``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def descendants(word: str) -> list[int]:
    """Ids, lowest first, of the processes below this one whose command line holds a word."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("processes are found through /proc, which this system does not have")
    parents, commands = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                commands[int(entry.name)] = (entry / "cmdline").read_text()
            except (OSError, ValueError):
                continue  # it has ended meanwhile
    return sorted(pid for pid, text in commands.items() if word in text and _is_below(pid, parents))


def _is_below(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == os.getpid():
            return True
    return False


def bytes_read(pids: list[int]) -> int:
    """Bytes that processes have read from sockets and files so far; mapped pages are not counted."""
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/io").read_text().split("rchar: ")[1].split()[0])
        except OSError:
            continue
    return total


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, mapped files included; 0 once it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def open_files(pids: list[int]) -> int:
    """Files, sockets and pipes that processes hold open."""
    total = 0
    for pid in pids:
        try:
            total += len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            continue
    return total
