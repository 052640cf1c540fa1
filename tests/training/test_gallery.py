"""The picture of scenes shows every family."""

from matplotlib.image import imread

from napari_nninteractive.training.gallery import write_gallery
from napari_nninteractive.training.scenes import FAMILIES


def test_every_family_has_a_row_of_scenes(tmp_path):
    write_gallery(tmp_path / "scenes.png", columns=1)
    picture = imread(tmp_path / "scenes.png")
    rows = picture.shape[0] // len(FAMILIES)
    for k in range(len(FAMILIES)):
        part = picture[k * rows : (k + 1) * rows, :, :3]
        assert part.std() > 0.1
