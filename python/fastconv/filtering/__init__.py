"""What the shims for SciPy share: numbers, edges, and sums of products over any number of axes."""
