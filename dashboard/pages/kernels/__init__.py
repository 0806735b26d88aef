"""The page Kernels: the weights of all filters of a layer on one wall."""
