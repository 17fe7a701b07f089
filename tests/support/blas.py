"""What BLAS has."""

from __future__ import annotations

from threadpoolctl import threadpool_info


def blas_threads() -> set[int]:
    """How many threads the BLAS libraries of this process have now."""
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
