"""Functions on a GPU in Triton: one kernel a call, with the same bits whatever else is in the batch."""

from sigmax.arrays.torch.kernels.links import LINKS, binary_cross_entropy, link
from sigmax.arrays.torch.kernels.rows import NAMES, cross_entropy, logsumexp, per_class, pullback

__all__ = ["LINKS", "NAMES", "binary_cross_entropy", "cross_entropy", "link", "logsumexp", "per_class", "pullback"]
