"""Peak memory of this process and all its descendants (JVM, Python workers) together."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType


class PeakMemory:
    """Context manager that samples the process tree's proportional set size; pages shared by several count once.

    Attributes
    ----------
    megabytes : float
        The largest sum seen.
    """

    def __init__(self, interval: float = 0.1) -> None:
        self.megabytes = 0.0
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
            total = sum(_proportional_kilobytes(pid) for pid in _tree(os.getpid()))
            self.megabytes = max(self.megabytes, total / 1024)
            self._stop.wait(self._interval)


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


def _proportional_kilobytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0
