"""The largest sizes that options may have: far beyond any use, and small enough that nothing is endless.

What they mean together for memory is checked where it is known: weights in `networks.network`, inputs in
`data.input_spec`.
"""

MOST_PX = 2**16
"""Side of an image or a crop in px."""
MOST_SAMPLES = 2**16
"""Images that go through a network together, or wait for it; instances of a frame."""
MOST_WORKERS = 2**10
"""Processes that work side by side."""
MOST_LAYERS = 2**6
"""Layers of one kind that follow each other."""
MOST_STACKS = 2**4
"""Networks one after another."""
MOST_FILTERS = 2**16
"""Channels of the first layer."""
MOST_CELLS = 2**10 - 1
"""Side of a kernel or a window in cells."""
LARGEST_NUMBER = 2**40
"""Any whole number without a limit of its own."""
LARGEST_SEED = 2**32 - 1
"""Seed that all libraries take."""
LARGEST_STRIDE = 2**12
"""Px of the input to a cell of a map."""
