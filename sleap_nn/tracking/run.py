"""`TrackingRun`: one call's tracking from the first frame to the last, online or over whole videos."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
from jaxtyping import Float, UInt8

from sleap_nn.config.tracker_config import TrackerConfig, complete_tracking
from sleap_nn.errors import ConfigError
from sleap_nn.ops.similarity import visible_nodes
from sleap_nn.structures.predictions import Predictions
from sleap_nn.structures.sample import FrameKey
from sleap_nn.tracking.cleanup import connect_single_breaks, cull, kept_tracks
from sleap_nn.tracking.linking import link
from sleap_nn.tracking.looks import describe
from sleap_nn.tracking.tracker import Tracker


class TrackingRun:
    """Give every frame to `update` as it comes, in order, and all of them to `finished` for what comes after the last.

    Attributes:
        needs_image: Whether `update` has to be given images.
    """

    def __init__(self, config: TrackerConfig, tracker: Tracker | None) -> None:
        """Take options as `complete_tracking` returns them, and what tracks online; None tracks at the end."""
        self._config = config
        self._tracker = tracker
        self._looks: dict[FrameKey, Float[np.ndarray, "instances features"]] = {}
        self.needs_image = config.features == "image" if tracker is None else tracker.needs_image

    @classmethod
    def from_config(cls, config: TrackerConfig, num_nodes: int, max_instances: int | None = None) -> TrackingRun:
        """Return what the options ask for.

        Args:
            config: The options.
            num_nodes: Nodes of the skeleton.
            max_instances: Most instances of a frame, which stands in for the number of animals.

        Raises:
            ConfigError: Options exclude each other, or one lacks another.
        """
        config = complete_tracking(config, max_instances)
        return cls(config, Tracker.from_config(config, num_nodes) if config.tracker == "online" else None)

    def update(
        self, found: Predictions, image: UInt8[np.ndarray, "height width channels"] | None = None
    ) -> Predictions:
        """Return the instances of the next frame, tracked if that is done online.

        One without a visible point can have no track; it is left out before anything else, so that it takes no place.

        Args:
            found: The frame.
            image: The frame itself, where `needs_image` asks for it.

        Raises:
            ConfigError: The image is missing.
        """
        somewhere = np.asarray(visible_nodes(found.points).any(axis=1))
        if not somewhere.all():
            found = found.take(somewhere)
        if self._tracker is not None:
            return self._tracker.update(found, image)
        count = self._config.tracking_target_instance_count
        if self._config.tracking_pre_cull_to_target and count:
            found = found.take(cull(found.points, found.scores, count, self._config.tracking_pre_cull_iou_threshold))
        if self.needs_image:
            if image is None:
                raise ConfigError("Tracking by looks (features=image) needs the images of the video; leave it out.")
            self._looks[found.key] = describe(image, found.points).reshape(len(found), -1)
        return found

    def finished(self, frames: Iterable[Predictions]) -> Iterator[Predictions]:
        """Yield all frames with what can be done when all are known: linking, culling, joining of breaks.

        Where nothing of that is asked for, frames are passed on as they come; else those of a video wait for its
        last.

        Args:
            frames: What `update` returned, in order.
        """
        if self._tracker is not None and not self._cleans:
            yield from frames
            return
        num_tracks = 0
        for _, group in groupby(frames, key=lambda found: found.key.video):
            of_video = list(group)
            if self._tracker is None:
                of_video = [_renumbered(found, num_tracks) for found in self._link(of_video)]
                num_tracks += _count_tracks(of_video, num_tracks)
            yield from self._clean(of_video)

    @property
    def _cleans(self) -> bool:
        """Whether tracks are changed when a video is over."""
        return bool(self._config.tracking_clean_instance_count) or self._config.post_connect_single_breaks

    def _link(self, found: Sequence[Predictions]) -> list[Predictions]:
        """Return the frames of one video, tracked all at once."""
        config = self._config
        looks = [self._looks.pop(entry.key) for entry in found] if self.needs_image else None
        count = config.tracking_target_instance_count or config.max_tracks
        linked = link(found, count, looks)
        return kept_tracks(linked, config.min_new_track_points, config.max_tracks)

    def _clean(self, found: list[Predictions]) -> list[Predictions]:
        """Return the frames of one video without instances that are too many, and without single breaks."""
        config = self._config
        count = config.tracking_clean_instance_count
        if count:
            found = [
                entry.take(cull(entry.points, entry.scores, count, config.tracking_clean_iou_threshold))
                for entry in found
            ]
        if count or config.post_connect_single_breaks:
            found = list(connect_single_breaks(found))
        return found


def _renumbered(found: Predictions, first: int) -> Predictions:
    """Return a frame whose tracks count from `first`."""
    assert found.tracks is not None
    return found.with_tracks(found.tracks + first, found.track_scores)


def _count_tracks(found: Sequence[Predictions], first: int) -> int:
    """Return how many numbers from `first` on the tracks of a video take."""
    highest = [int(entry.tracks.max(initial=first - 1)) for entry in found if entry.tracks is not None]
    return 1 + max(highest, default=first - 1) - first
