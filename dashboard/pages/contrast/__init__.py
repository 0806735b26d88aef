"""Contrast: which filters tell two groups of samples apart, and what shows it."""
