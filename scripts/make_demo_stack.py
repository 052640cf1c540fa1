"""Write the demo's synthetic stack of cell nuclei, and its truth beside it.

    python scripts/make_demo_stack.py OUT/stack.tif        (or .nii.gz, .nrrd, .mha)

The truth goes to a file of the same name with "_truth" before its ending. Prints z,y,x of a voxel in the middle of one
nucleus. Files of an earlier run are replaced.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import tifffile

from napari_nninteractive.core.samples import nuclei
from napari_nninteractive.core.simulate import centre_point


def write(path: Path, array: np.ndarray, spacing: tuple[float, float, float]) -> None:
    """Write an array (z, y, x) with its spacing (z, y, x) in micrometres."""
    z, y, x = spacing
    if path.name.endswith((".tif", ".tiff")):
        metadata = {"axes": "ZYX", "spacing": z, "unit": "micron"}
        tifffile.imwrite(path, array, imagej=True, resolution=(1 / x, 1 / y), metadata=metadata)
        return
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((x, y, z))
    sitk.WriteImage(image, str(path), useCompression=True)


def main() -> None:
    """Write both files and print where to click."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path, help="file to write")
    path = parser.parse_args().out
    sample = nuclei()
    stem, dot, ending = path.name.partition(".")
    truth = path.with_name(f"{stem}_truth{dot}{ending}")
    write(path, sample.image, sample.spacing)
    write(truth, sample.labels, sample.spacing)
    print(
        f"wrote {path} and {truth}: synthetic nuclei, {sample.image.shape} voxels", file=sys.stderr
    )
    point = centre_point(sample.labels == sample.inner_object())
    print(",".join(str(i) for i in point.position))


if __name__ == "__main__":
    main()
