"""The built-in model: in the package, small enough, free to use, and good at what it promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import napari_nninteractive as nni
from napari_nninteractive.cli.main import main
from napari_nninteractive.simulation.users.next_prompt import centre_point, next_centre_point

BUILTIN = Path(nni.__file__).parent / "models" / "builtin"


@pytest.fixture(scope="module")
def builtin() -> nni.Model:
    return nni.load_model("builtin", device="cpu")


def test_it_is_small_free_and_understands_every_flat_prompt(builtin: nni.Model) -> None:
    weights = list(BUILTIN.rglob("*.pth"))
    assert len(weights) == 1
    assert weights[0].stat().st_size <= 16 * 2**20
    assert builtin.licence is not None
    assert builtin.licence.startswith("BSD-3-Clause")
    assert builtin.capabilities.kinds >= {"point", "bbox2d", "scribble", "lasso"}
    assert (BUILTIN / "README.md").is_file()


def test_the_demo_finds_its_object(tmp_path: Path, capsys: Any) -> None:
    assert main(["demo", "--device", "cpu", "-o", str(tmp_path / "demo")]) == 0
    scores = [float(s) for s in re.findall(r"Dice (\d\.\d+)", capsys.readouterr().out)]
    assert scores[-1] >= 0.85
    assert len(scores) == 2


def dice(a: Any, b: Any) -> float:
    return 2.0 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_nuclei_of_a_mouse_embryo(builtin: nni.Model, shared_dir: Path) -> None:
    folder = shared_dir / "data" / "qcanet_mouse_8cell"
    if not folder.is_dir():
        pytest.skip(f"the real volumes are not here: {folder} is missing")
    image, labels = tifffile.imread(folder / "image.tif"), tifffile.imread(folder / "label.tif")
    session = nni.InferenceSession(builtin)
    session.set_image(image)
    after: dict[int, list[float]] = {1: [], 5: []}
    for label in np.unique(labels[labels > 0]):
        truth, mask = labels == label, None
        for clicks in range(1, 6):
            point = centre_point(truth) if mask is None else next_centre_point(truth, mask)
            if point is not None:
                session.add(point)
                mask = session.mask[...] != 0
            if clicks in after:
                after[clicks].append(dice(truth, mask))
        session.reset()
    assert len(after[1]) == 8
    assert np.mean(after[1]) >= 0.70
    assert np.mean(after[5]) >= 0.84
