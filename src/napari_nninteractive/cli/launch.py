"""`napari-nninteractive launch`: napari with the widget open."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_nninteractive.cli.viewer import add_widget, open_viewer, run_viewer
from napari_nninteractive.io import read_image

__all__ = ["DESCRIPTION", "USAGE", "add_arguments", "run"]

USAGE = "[IMAGE ...] [options]"
DESCRIPTION = """\
Open napari with the widget beside the canvas, and with the images that are named, at their voxel size.

  napari-nninteractive launch stack.nii.gz

Images: NIfTI, NRRD, MetaImage, TIFF (ImageJ, OME), OME-Zarr."""

_UNITS = {
    "m": "meter",
    "cm": "centimeter",
    "mm": "millimeter",
    "µm": "micrometer",
    "nm": "nanometer",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("images", type=Path, nargs="*", metavar="IMAGE", help="images to open")
    parser.add_argument("--channel", type=int, metavar="N", help="channel of the images, from 0")
    parser.add_argument(
        "--timepoint", type=int, metavar="N", help="time point of the images, from 0"
    )


def run(args: argparse.Namespace) -> int:
    """Read the images first: a mistake is said before a window opens."""
    images = [(path, read_image(path, args.channel, args.timepoint)) for path in args.images]
    viewer = open_viewer()
    try:
        for path, image in images:
            ndim = len(image.data.shape)
            units = (_UNITS[image.unit],) * ndim if image.unit in _UNITS else None
            viewer.add_image(image.data, name=path.name, scale=image.spacing[-ndim:], units=units)
        add_widget(viewer)
    except Exception:
        viewer.close()
        raise
    run_viewer()
    return 0
