"""Accumulators of statistics over streamed samples; merging any split equals the whole."""
