"""Opens, checks and finishes HDF5 files safely, even if their content or the disk is bad."""
