"""The page of the whole model: health, all filters of all layers, classes, layers, origin."""
