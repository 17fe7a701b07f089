"""Peak memory of this process and all its descendants (JVM, Python workers)."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType

ROLES = ("driver", "JVM", "workers")


class PeakMemory:
    """Context manager that samples the process tree's proportional set size; pages shared by several count once.

    Attributes
    ----------
    megabytes, private_megabytes : float
        The largest sums seen: of all resident memory, and of what does not belong to files.
    by_role : dict of str to float
        The largest size seen of this process, of all JVMs, and of all other descendants, which are Python workers.
    """

    def __init__(self, interval: float = 0.1) -> None:
        self.megabytes = self.private_megabytes = 0.0
        self.by_role = dict.fromkeys(ROLES, 0.0)
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.is_set():
            sizes, held = dict.fromkeys(ROLES, 0.0), 0.0
            for pid in _tree(os.getpid()):
                total, private = _proportional_kilobytes(pid)
                sizes[_role(pid)] += total / 1024
                held += private / 1024
            self.by_role = {role: max(size, self.by_role[role]) for role, size in sizes.items()}
            self.megabytes = max(self.megabytes, sum(sizes.values()))
            self.private_megabytes = max(self.private_megabytes, held)
            self._stop.wait(self._interval)


def _role(pid: int) -> str:
    if pid == os.getpid():
        return "driver"
    try:
        return "JVM" if Path(f"/proc/{pid}/comm").read_text().strip() == "java" else "workers"
    except OSError:
        return "workers"


def _tree(root: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def _proportional_kilobytes(pid: int) -> tuple[int, int]:
    """Proportional set size of a process, and the part of it that does not belong to files."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Pss")}
    return sizes.get("Pss", 0), sizes.get("Pss_Anon", 0)
