import numpy as np
import pytest
import sleap_io as sio

from sleap_nn.errors import DataError
from sleap_nn.rendering.unreadable import BlackFrames
from sleap_nn.structures.sample import FrameKey

VIDEOS = [sio.Video("a.mp4", backend_metadata={"shape": (9, 6, 8, 3)}, open_backend=False)]


def test_black_stands_for_what_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    black, image = BlackFrames(VIDEOS), np.ones((6, 8, 1), np.uint8)
    assert black.image(FrameKey(0, 1), image) is image
    black.report(1, "video")
    assert not caplog.messages
    instead = black.image(FrameKey(0, 2), DataError("Frame 2 is broken."))
    assert (instead.shape, instead.dtype, instead.max()) == ((6, 8, 1), np.uint8, 0)
    black.report(2, "video")
    assert caplog.messages == ["1 of 2 frames of the video cannot be read and are black: Frame 2 is broken."]
    with pytest.raises(DataError, match=r"None of the 1 frames can be read, the first because: Frame 2 is broken\."):
        black.report(1, "video")
