"""Synthetic microscopy: label maps, what is stained, what the microscope does to it."""
