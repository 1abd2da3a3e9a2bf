"""On which days another model may have taken over: many days are ruled out at once, by numbers of limited precision."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from collector.analysis.anomalies import LATE_DAYS, NEW_SHARE, OLD_SHARE, USUAL_DAYS

_NEARLY = 1e-6
"""So far from a share that counts, a day is still looked at."""


def may_switch(
    days: npt.NDArray[np.int64], models: npt.NDArray[np.int64], costs: npt.NDArray[np.float64], count: int
) -> frozenset[int]:
    """The days of `count` on which a model with hardly any of the usual cost has much of it, and maybe more days.

    One call or more per place: `models` are numbers of them, `costs` in any unit.
    """
    if not len(days):
        return frozenset()
    names, columns = np.unique(models, return_inverse=True)
    spent = np.zeros((count, len(names)))
    np.add.at(spent, (days, columns), costs)
    until = np.arange(count) - LATE_DAYS
    summed = np.vstack([np.zeros(len(names)), np.cumsum(spent, axis=0)])
    usual = summed[np.maximum(until, 0)] - summed[np.maximum(until - USUAL_DAYS, 0)]
    now_total, usual_total = (each.sum(axis=1, keepdims=True) for each in (spent, usual))
    is_much = spent >= NEW_SHARE * (1 - _NEARLY) * now_total
    is_new = usual <= OLD_SHARE * (1 + _NEARLY) * usual_total
    is_free = (now_total <= 0) | (usual_total <= 0)  # calls are counted then
    found = (is_much & is_new).any(axis=1) | is_free[:, 0]
    has_calls = np.bincount(days, minlength=count) > 0
    return frozenset(np.flatnonzero(found & has_calls).tolist())
