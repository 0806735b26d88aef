"""Feature maps: pick a sample, see every filter of a layer, enlarge one beside the input."""
