"""Processes of this machine, from ``/proc``. It imports nothing of this project: tests submit it alone."""

from __future__ import annotations

import os
from pathlib import Path


def processes_in(directory: Path) -> list[int]:
    """Ids of the processes whose working directory is this one or below it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                where = Path(os.readlink(entry / "cwd"))
            except OSError:
                continue  # it has ended, or is another user's
            if where == directory or directory in where.parents:
                found.append(int(entry.name))
    return sorted(found)


def command_line(pid: int) -> str:
    """The words with which a process was started; none once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""
