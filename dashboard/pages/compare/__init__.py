"""Compare: two stores beside each other, with their differences where the samples are the same."""
