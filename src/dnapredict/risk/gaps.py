"""What trees read where a value is not known."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["fill_gaps", "gap_filling"]


def gap_filling(matrix: NDArray[np.float64], *, enough: int) -> NDArray[np.float64]:
    """What to read for "not known", column by column: the median, or NaN where it can be learned.

    With fewer than `enough` rows not known, trees cannot learn what that means and LightGBM would
    read zero: an unknown age would be a newborn's. A column that is never known stays NaN.

    >>> gap_filling(np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 5.0]]), enough=2).tolist()
    [2.0, nan]
    """
    gaps = np.isnan(matrix).sum(axis=0, dtype=np.int32)
    fill = np.full(matrix.shape[1], np.nan)
    for column in np.flatnonzero((gaps < enough) & (gaps < len(matrix))):
        values = matrix[:, column]
        fill[column] = np.median(values[~np.isnan(values)])
    return fill


def fill_gaps(matrix: NDArray[np.float64], fill: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix with `fill` where a value is not known; it stays NaN where `fill` is NaN.

    Where nothing is to be filled it is the matrix itself, and not a copy.

    >>> fill_gaps(np.array([[np.nan, np.nan]]), np.array([2.0, np.nan])).tolist()
    [[2.0, nan]]
    """
    gaps = np.isnan(matrix) & ~np.isnan(fill)
    return np.where(gaps, fill, matrix) if gaps.any() else matrix
