from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from factories import make_labels

from sleap_nn.config.render_config import RenderConfig
from sleap_nn.errors import ConfigError, DataError
from sleap_nn.rendering.scene import Scene
from sleap_nn.structures.sample import FrameKey


def predicted(instance: sio.Instance, score: float) -> sio.PredictedInstance:
    return sio.PredictedInstance.from_numpy(
        instance.numpy(), skeleton=instance.skeleton, track=instance.track, score=score
    )


def without_tracks(labels: sio.Labels) -> sio.Labels:
    for frame in labels:
        for instance in frame.instances:
            instance.track = None
    return labels


def test_instances_are_found_by_frame():
    labels = make_labels(3, num_animals=2)
    labels[1].instances = [predicted(instance, 0.25) for instance in labels[1].instances[::-1]]
    scene = Scene.of(labels, RenderConfig())
    user, model = (scene.found(FrameKey(0, frame)) for frame in (0, 10))
    np.testing.assert_allclose(user.points[1], labels[0].instances[1].numpy())
    assert np.isnan(user.scores).all()
    assert model.scores.tolist() == [0.25, 0.25]
    assert user.tracks is not None
    assert model.tracks is not None
    assert (user.tracks.tolist(), model.tracks.tolist()) == ([0, 1], [1, 0])
    assert len(scene.found(FrameKey(0, 5))) == 0
    assert scene.drawable() == [FrameKey(0, frame) for frame in (0, 10, 20)]
    assert scene.overlay.style.colour_by == "track"


def test_a_corrected_prediction_is_drawn_once():
    labels = make_labels(1)
    instance = labels[0].instances[0]
    found = predicted(instance, 0.5)
    labels[0].instances = [instance, found]
    assert len(Scene.of(labels, RenderConfig()).found(FrameKey(0, 0))) == 1
    found.track, instance.from_predicted = None, found  # as where tracks were made after the correction
    assert len(Scene.of(labels, RenderConfig()).found(FrameKey(0, 0))) == 1


def test_trails_follow_tracks_or_the_only_animal():
    labels = make_labels(4, num_animals=2)
    scene = Scene.of(labels, RenderConfig(trail=20))
    paths = scene.trails(FrameKey(0, 20)).paths()
    assert sorted(paths) == [0, 1]
    places = paths[1][~np.isnan(paths[1][:, 0])]
    expected = [np.nanmean(labels[i].instances[1].numpy(), axis=0) for i in range(3)]
    np.testing.assert_allclose(places, expected, rtol=1e-5)
    alone = Scene.of(without_tracks(make_labels(2)), RenderConfig(trail=20))
    assert alone.overlay.style.colour_by == "node"
    assert list(alone.trails(FrameKey(0, 10)).paths()) == [0]


@pytest.mark.parametrize(("stored", "only_listed", "joined"), [(True, False, 3), (False, True, 3), (False, False, 1)])
def test_frames_that_do_not_count_are_no_gaps(tmp_path: Path, stored: bool, only_listed: bool, joined: int):
    """Of a package, only every tenth frame is there."""
    labels = make_labels(4, path=tmp_path / ("a.pkg.slp" if stored else "a.slp"), embed=stored)
    scene = Scene.of(labels, RenderConfig(trail=25, only_listed_frames=only_listed))
    path = scene.trails(FrameKey(0, 30)).paths()[0]
    known = ~np.isnan(path[:, 0])
    assert known.sum() == 3
    assert np.split(known, np.flatnonzero(~known))[-1].sum() == joined


@pytest.mark.parametrize("values", [{"trail": 5}, {"colour_by": "track"}])
def test_several_animals_without_tracks_have_no_trails(values: dict):
    labels = without_tracks(make_labels(2, num_animals=2))
    with pytest.raises(ConfigError, match=f"{next(iter(values))} follows tracks"):
        Scene.of(labels, RenderConfig(**values))


def test_labels_without_instances_have_nothing_to_draw():
    labels = make_labels(2)
    for frame in labels:
        frame.instances = []
    with pytest.raises(DataError, match="nothing to draw"):
        Scene.of(labels, RenderConfig())


def test_the_truth_is_found_by_frame_and_alone_is_something_to_draw(tmp_path: Path):
    make_labels(3).save(str(tmp_path / "truth.slp"), embed=False, verbose=False)
    labels = make_labels(3)
    for frame in labels:
        frame.instances = []
    scene = Scene.of(labels, RenderConfig(truth=str(tmp_path / "truth.slp")))
    assert scene.drawable() == [FrameKey(0, frame) for frame in (0, 10, 20)]
    image = np.zeros((64, 64, 1), np.uint8)
    assert scene.draw(image, scene.found(FrameKey(0, 10)), scene.trails(FrameKey(0, 10))).any()


def test_a_part_of_a_frame_shows_the_same_points():
    labels = make_labels(1, height=200, width=200)
    scene = Scene.of(labels, RenderConfig(labels=False))
    key, image = FrameKey(0, 0), np.zeros((200, 200, 1), np.uint8)
    whole = scene.draw(image, scene.found(key), scene.trails(key))
    part = scene.draw(image, scene.found(key), scene.trails(key), box=(20, 10, 180, 190))
    assert part.shape == (180, 160, 3)
    assert ((whole[10:190, 20:180] > 0) == (part > 0)).mean() > 0.98
