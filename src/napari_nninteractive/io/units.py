"""Names of the units of length that image formats write, and how they convert: pure."""

from __future__ import annotations

__all__ = ["factor", "long_name", "unit_named"]

_EXPONENTS = {"m": 0, "cm": -2, "mm": -3, "µm": -6, "nm": -9, "Å": -10, "pm": -12}
_NAMES = {
    **{name: name for name in _EXPONENTS},
    "meter": "m",
    "metre": "m",
    "centimeter": "cm",
    "millimeter": "mm",
    "micron": "µm",
    "microns": "µm",
    "micrometer": "µm",
    "um": "µm",
    "μm": "µm",  # Greek mu; the other one is the micro sign
    "\\u00b5m": "µm",
    "nanometer": "nm",
    "angstrom": "Å",
    "picometer": "pm",
}

_LONG = {
    "m": "meter",
    "cm": "centimeter",
    "mm": "millimeter",
    "µm": "micrometer",
    "nm": "nanometer",
    "Å": "angstrom",
    "pm": "picometer",
}


def unit_named(text: str) -> str:
    """Symbol of a unit: "µm" for "micron", "micrometer" and so on.

    Parameters
    ----------
    text : str
        As a file writes it.

    Returns
    -------
    str
        "" where it is not known here.
    """
    word = text.strip()
    return _NAMES.get(word) or _NAMES.get(word.lower(), "")


def long_name(unit: str) -> str:
    """Name that OME-Zarr writes for a unit: "micrometer" for "µm".

    Parameters
    ----------
    unit : str
        Symbol.

    Returns
    -------
    str
        "" where it is not known here.
    """
    return _LONG.get(unit, "")


def factor(unit: str, target: str) -> float | None:
    """Number by which lengths in one unit are multiplied to have them in another.

    Parameters
    ----------
    unit, target : str
        Symbols.

    Returns
    -------
    float or None
        None where either is not known.
    """
    if unit not in _EXPONENTS or target not in _EXPONENTS:
        return None
    return 10.0 ** (_EXPONENTS[unit] - _EXPONENTS[target])
