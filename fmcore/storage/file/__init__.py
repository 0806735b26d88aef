"""An HDF5 file opened, checked and ended safely, whatever is in it or befalls the disk."""
