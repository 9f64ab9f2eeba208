"""The feature families of the classic backbone: one file each, numpy and scipy alone."""
