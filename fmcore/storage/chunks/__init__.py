"""Between the bytes of chunks and the values of arrays, past HDF5 and its lock."""
