import numpy as np
import pytest
import sleap_io as sio

from sleap_nn.data.corrections import animals

SKELETON = sio.Skeleton(["a"])
ONE, TWO = sio.Track("one"), sio.Track("two")


def predicted(track: sio.Track | None = None) -> sio.PredictedInstance:
    return sio.PredictedInstance.from_numpy(np.zeros((1, 2)), skeleton=SKELETON, track=track)


def drawn(track: sio.Track | None = None, source: sio.PredictedInstance | None = None) -> sio.Instance:
    return sio.Instance.from_numpy(np.ones((1, 2)), skeleton=SKELETON, track=track, from_predicted=source)


@pytest.mark.parametrize("before", [None, ONE])
@pytest.mark.parametrize("after", [None, ONE, TWO])
def test_a_prediction_goes_with_its_correction_whatever_their_tracks(
    before: sio.Track | None, after: sio.Track | None
) -> None:
    found, other = predicted(before), predicted()
    correction = drawn(after, found)
    frame = sio.LabeledFrame(video=sio.Video("a.mp4"), frame_idx=0, instances=[found, other, correction])
    assert animals(frame) == [correction, other]


def test_a_prediction_of_the_track_that_a_user_drew_goes() -> None:
    found, other, own = predicted(ONE), predicted(TWO), drawn(ONE)
    frame = sio.LabeledFrame(video=sio.Video("a.mp4"), frame_idx=0, instances=[found, other, own])
    assert animals(frame) == [own, other]


def test_predictions_alone_stay() -> None:
    found = [predicted(ONE), predicted(ONE), predicted()]
    assert animals(sio.LabeledFrame(video=sio.Video("a.mp4"), frame_idx=0, instances=found)) == found
