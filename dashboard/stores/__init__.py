"""The only door to stores: which there are, and what an open one gives; no HTTP, no Dash."""
