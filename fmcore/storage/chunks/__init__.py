"""Chunks: encodes arrays as the bytes of chunks and decodes them, without HDF5 and its lock."""
