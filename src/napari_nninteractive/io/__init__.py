"""Images from files and masks into files; geometry is read, kept and written.

SimpleITK, nibabel, tifffile and zarr are imported when a file of theirs is opened.
"""

from napari_nninteractive.io.image import Geometry, ImageFile
from napari_nninteractive.io.read import IMAGE_ENDINGS, read_image
from napari_nninteractive.io.same_grid import check_same_grid
from napari_nninteractive.io.write import MASK_ENDINGS, check_output, write_image, write_mask

__all__ = [
    "IMAGE_ENDINGS",
    "MASK_ENDINGS",
    "Geometry",
    "ImageFile",
    "check_output",
    "check_same_grid",
    "read_image",
    "write_image",
    "write_mask",
]
