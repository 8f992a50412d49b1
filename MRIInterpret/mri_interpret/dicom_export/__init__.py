"""A result of a DICOM scan as DICOM objects beside it: maps, segmentation and measurements. Needs highdicom."""
