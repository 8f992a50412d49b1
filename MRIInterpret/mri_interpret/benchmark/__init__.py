"""Attribution methods over many simulated subjects whose disease is known voxel by voxel."""
