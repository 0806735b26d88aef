"""Two groups of samples, A and B, beside each other, on Classes and Filter: form and panel."""
