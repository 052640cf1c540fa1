"""The label map: all objects of an image in one array, and who wins a voxel."""
