"""The page Layers: one sample, every layer."""
