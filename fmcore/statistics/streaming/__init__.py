"""What accumulates while samples stream by; merging any split of them equals the whole."""
