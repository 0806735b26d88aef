"""How each filter tells one group of samples from another, beside chance."""
