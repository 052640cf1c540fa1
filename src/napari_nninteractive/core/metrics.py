"""How good a mask is, and how quickly prompts made it so.

Masks are bool (z, y, x). All scores lie between 0 and 1; two empty masks agree, an empty and another one do not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_nninteractive.errors import ImageError

__all__ = ["area_under_curve", "check_same_shape", "dice", "prompts_needed"]

Bool = NDArray[np.bool_]


def dice(a: Bool, b: Bool) -> float:
    """Dice overlap: twice the common voxels over the sum of both.

    Parameters
    ----------
    a, b : ndarray
        bool, of one shape.

    Returns
    -------
    float
        0 to 1; 1 if both are empty, 0 if one is.

    Raises
    ------
    ImageError
        If the shapes differ.
    """
    check_same_shape(a, b)
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2.0 * int(np.count_nonzero(a & b)) / total if total else 1.0


def area_under_curve(curve: Sequence[float]) -> float:
    """Mean height of a curve over prompts, by the trapezoidal rule: one number for how good and how quick.

    Parameters
    ----------
    curve : sequence of float
        A score after each prompt, at least one.

    Returns
    -------
    float
        In the range of the scores; the score itself where there is only one.

    Raises
    ------
    ImageError
        If the curve is empty.
    """
    if not len(curve):
        raise ImageError("There is no area under an empty curve: measure at least one prompt.")
    if len(curve) == 1:
        return float(curve[0])
    return float(np.trapezoid(np.asarray(curve, float)) / (len(curve) - 1))


def prompts_needed(curve: Sequence[float], threshold: float) -> int | None:
    """Number of prompts after which a score was reached for the first time.

    Parameters
    ----------
    curve : sequence of float
        A score after each prompt.
    threshold : float
        What to reach.

    Returns
    -------
    int or None
        From 1; None if it was never reached.
    """
    return next((k for k, score in enumerate(curve, start=1) if score >= threshold), None)


def check_same_shape(a: Bool, b: Bool) -> None:
    """Refuse to compare masks that cannot be of the same image.

    Raises
    ------
    ImageError
        If their shapes differ.
    """
    if np.shape(a) != np.shape(b):
        raise ImageError(
            f"Masks of shape {np.shape(a)} and {np.shape(b)} cannot be compared: they must be of the same image."
        )
