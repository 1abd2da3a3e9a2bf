"""Which rows of two aligned tables say something different."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from collector.store.rows import plain_column


def differs(left: pa.Table, right: pa.Table, names: Iterable[str]) -> npt.NDArray[np.bool_]:
    """Row by row, over the columns `names`; NULL equals NULL and nothing else."""
    different = np.zeros(left.num_rows, dtype=bool)
    for name in names:
        ours, theirs = (plain_column(table.column(name)) for table in (left, right))
        if ours.null_count == theirs.null_count == left.num_rows:
            continue
        unequal = pc.not_equal(pc.is_null(ours), pc.is_null(theirs))
        unequal = pc.or_(unequal, pc.fill_null(pc.not_equal(ours, theirs), False))
        different |= unequal.to_numpy()
    return different
