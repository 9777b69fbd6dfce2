"""What was decided, what the decisions on labelled rows cost, and how often sets held the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sigmax.decisions import Realised, realised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sigmax.tables.batches import ScoredBatch
    from sigmax.tables.columns import Plan

__all__ = ["Paid"]


class Paid:
    """
    What the decisions on labelled rows cost.

    Parameters
    ----------
    plan : Plan
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.scores: list[NDArray[np.float64]] = []
        self.labels: list[NDArray[np.int64]] = []
        self.held: list[NDArray[np.bool_]] = []
        self.sizes: list[NDArray[np.int64]] = []
        self.rows: NDArray[np.int64] | None = None  # of each decision
        self.labelled: NDArray[np.int64] | None = None  # of each class, those of each decision

    def see(self, seen: ScoredBatch) -> None:
        """Keep the scores and labels of a batch."""
        known = ~seen.bad & (seen.labels >= 0)
        self.scores.append(seen.scores[:, known].T.astype(np.float64))
        self.labels.append(seen.labels[known])
        if seen.decided is not None:
            choice, many = seen.decided.choice, len(seen.decided.costs.decisions)
            rows = np.bincount(choice[~seen.bad], minlength=many)
            size = len(self.plan.classes) * many
            labelled = np.bincount(seen.labels[known] * many + choice[known], minlength=size).reshape(-1, many)
            self.rows = rows if self.rows is None else self.rows + rows
            self.labelled = labelled if self.labelled is None else self.labelled + labelled
        if seen.inside is not None:
            self.sizes.append(seen.inside[~seen.bad].sum(axis=1))
            self.held.append(seen.inside[known][np.arange(int(known.sum())), seen.labels[known]])

    def realised(self) -> Realised | None:
        """Return what they cost; None without labels or costs."""
        rule = self.plan.rule
        labels = np.concatenate(self.labels) if self.labels else np.empty(0, np.int64)
        if rule is None or rule.costs is None or not labels.size:
            return None
        z = np.concatenate(self.scores)
        w = None
        if rule.after is not None:  # as many of each class as there will be
            w = (rule.after / np.maximum(np.bincount(labels, minlength=len(rule.after)), 1))[labels] * len(labels)
        return realised(z[:, 0] if z.shape[1] == 1 else z, labels, rule.costs, sample_weight=w, form="logits")
