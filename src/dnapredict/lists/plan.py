"""What is to be done about a list: who is called, in which order, and what to offer."""

from typing import Final

import numpy as np
import pyarrow as pa

from dnapredict.config.worklist import WorklistConfig
from dnapredict.lists.answers import FACTORS
from dnapredict.lists.worklist import action_for, bands, chosen, ranks

__all__ = ["WEIGHED", "planned"]

# The columns of an appointment that its place on the list rests on, beside what was judged.
WEIGHED: Final = ("imd_decile",)


def planned(judged: pa.Table, *, config: WorklistConfig, capacity: int | None) -> pa.Table:
    """`rank`, `selected`, `band` and `action` of each row of `judged`, in its order."""
    probability = judged["probability"].to_numpy()
    decile = judged["imd_decile"].cast("float64").to_numpy()
    selected = chosen(probability, decile, config=config, capacity=capacity)
    action = np.full(len(probability), config.unselected_action, dtype=object)
    called = np.flatnonzero(selected)
    factors = judged.select(FACTORS).take(pa.array(called)).to_pylist()
    action[called] = [action_for([name for name in row.values() if name], config=config) for row in factors]
    return pa.table(
        {
            "rank": ranks(probability, selected),
            "selected": selected,
            "band": pa.array(bands(probability, config=config), pa.string()).dictionary_encode(),
            "action": pa.array(action, pa.string()).dictionary_encode(),
        }
    )
