"""Classes: a statistic for each class and filter, two classes beside each other, every filter."""
