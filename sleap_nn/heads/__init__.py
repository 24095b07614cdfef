"""One kind of output map a file: its layer, its target, its loss, and how to read it back."""
