"""The pictures of scenes show every family, with its targets."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from napari_nninteractive.cli.gallery import FAMILY_NAMES
from napari_nninteractive.cli.main import main
from napari_nninteractive.simulation.images.gallery import write_gallery
from napari_nninteractive.simulation.images.scenes import FAMILIES


def test_every_family_has_a_picture_with_grey_planes_and_coloured_targets(tmp_path) -> None:
    files = write_gallery(tmp_path / "scenes", columns=6)
    assert [p.stem for p in files] == list(FAMILIES)
    for path in files:
        picture = imread(path)[..., :3]
        top = picture[: picture.shape[0] // 6]
        assert np.ptp(top, axis=2).max() < 0.02, path  # the image from above: grey
        assert top.std() > 0.05, path
        # A middle plane may miss the targets of a scene, but not those of all scenes from both sides.
        assert (np.ptp(picture, axis=2) > 0.3).mean() > 0.002, path


def test_the_command_writes_the_families_asked_for_and_replaces_nothing(tmp_path, capsys) -> None:
    words = ["gallery", "-o", str(tmp_path), "--family", "tubes", "--columns", "1"]
    assert main(words) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["tubes.png"]
    assert main(words) == 2
    assert "--force" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--family", "unicorns"], "nuclei"),
        (["--columns", "0"], "--columns"),
        (["--seed", "-1"], "--seed"),
        (["--level", "2"], "--level"),
    ],
)
def test_mistakes_are_named(words, said, tmp_path, capsys) -> None:
    assert main(["gallery", "-o", str(tmp_path / "new"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_help_names_all_families(capsys) -> None:
    assert main(["gallery", "--help"]) == 0
    said = capsys.readouterr().out
    assert f"Families: {', '.join(FAMILIES)}" in said
    assert "usage: napari-nninteractive gallery -o FOLDER" in said
    assert tuple(FAMILIES) == FAMILY_NAMES
