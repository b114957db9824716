"""What the project's tests share: layers at the edges of what a convolution can be, and data to run them with."""
