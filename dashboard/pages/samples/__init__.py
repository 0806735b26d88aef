"""The page Samples: a map of all samples, what is near to one, and groups that are drawn around."""
