"""Evidence on Dask arrays: a part for each block of rows, counted where the block is, and merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["evidence_on_blocks"]


class _Counting(Protocol):
    """What :class:`sigmax.calibration.Evidence` does."""

    def add(self, probabilities: Any, labels: Any, sample_weight: Any = None) -> None: ...
    def merge(self, other: Any) -> None: ...
    def state(self) -> dict[str, Any]: ...


Counting = TypeVar("Counting", bound=_Counting)


def evidence_on_blocks(make: Callable[[], Counting], probabilities: Any, labels: Any, sample_weight: Any) -> Counting:
    """Return the evidence of arrays of which the first is a Dask array; the others are cut as it is. `make` makes an empty one."""
    import dask
    import dask.array as da

    p = probabilities.rechunk({1: -1}) if probabilities.ndim == 2 else probabilities
    if any(size != size for size in p.chunks[0]):  # of frames, say
        p = p.compute_chunk_sizes()
    with_p = [labels] if sample_weight is None else [labels, sample_weight]
    for name, other in zip(("labels", "sample weights"), with_p, strict=False):
        if other.shape[:1] != p.shape[:1] and not any(size != size for size in other.shape):
            raise ValueError(f"{name} of shape {other.shape} for {p.shape[0]} rows of probabilities")
    cut = [da.asarray(other).rechunk(p.chunks[:1]).to_delayed().reshape(-1) for other in with_p]
    blocks = p.to_delayed().reshape(-1)
    counted = [dask.delayed(_counted)(make, *parts) for parts in zip(blocks, *cut, strict=True)]
    whole = make()
    for part in dask.compute(*counted):
        whole.merge(part)
    return whole


def _counted(make: Callable[[], _Counting], p: Any, y: Any, w: Any = None) -> dict[str, Any]:
    found = make()
    found.add(p, y, w)
    return found.state()
