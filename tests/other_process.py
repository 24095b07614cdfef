"""What tests let another process do: a spawned process imports it by name, which it cannot do with a test module."""

from collections.abc import Sequence

import numpy as np

from sleap_nn.data.frame_stores import FrameStore
from sleap_nn.data.memory import SharedBytes
from sleap_nn.structures.sample import Frame, FrameKey


def write_byte(memory: SharedBytes, index: int, value: int) -> None:
    """Write one byte."""
    memory.array()[index] = value


def save_the_rest(store: FrameStore, images: Sequence[np.ndarray]) -> None:
    """Save all frames but the first, which must be there already."""
    first = store.load(0, FrameKey(0, 0))
    assert first is not None
    assert np.array_equal(first.image, images[0])
    for index in range(1, len(images)):
        store.save(index, Frame(FrameKey(0, index), images[index]))
