"""The page Errors: which classes are taken for which, and the samples behind it."""
