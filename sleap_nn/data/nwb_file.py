"""Predictions as Neurodata Without Borders, in the words of its extension ndx-pose: one video a file.

Times are seconds from the first frame of the video if its frame rate is known, else frame numbers; the writer of
sleap-io rounds frame rates to whole numbers and needs frames without gaps.
"""

from __future__ import annotations

import datetime
import re
import uuid
import warnings
from collections.abc import Container, Iterable, Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np

Animals = Mapping[str, Mapping[int, np.ndarray]]
"""Name of each animal -> frame index -> points and scores (N, 3)."""

_FORBIDDEN = re.compile("[/:]")
_REFERENCE = "(0, 0) is the centre of the top-left pixel of the image; x points right and y down."


def write_nwb(
    path: Path,
    animals: Animals,
    nodes: list[str],
    edges: list[tuple[int, int]],
    video: str,
    fps: float | None,
    provenance: str,
) -> None:
    """Write the poses of a video.

    Args:
        path: The file.
        animals: What was found.
        nodes: Names of the nodes.
        edges: Pairs of node indices.
        video: Path of the video.
        fps: Its frames a second, None if unknown.
        provenance: Where the predictions come from, as JSON.
    """
    from ndx_pose import PoseEstimation, Skeleton, Skeletons
    from pynwb import NWBHDF5IO, NWBFile

    with warnings.catch_warnings():  # about versions of the format, which are nothing to the user
        warnings.simplefilter("ignore")
        file: Any = NWBFile(
            session_description=f"Poses in {video}",
            identifier=str(uuid.uuid4()),
            session_start_time=datetime.datetime.now(datetime.UTC),
        )
        module = file.create_processing_module("behavior", "Poses of animals")
        skeleton = Skeleton(name="skeleton", nodes=nodes, edges=np.array(edges, np.uint8).reshape(-1, 2))
        module.add(Skeletons(skeletons=[skeleton]))
        series, places = _names(nodes), _names(animals, taken=module.data_interfaces)
        for name, frames in animals.items():
            poses = PoseEstimation(
                name=places[name],
                description=f"Poses of {name}; times are {'frame numbers' if fps is None else 'seconds'}.",
                pose_estimation_series=[_series(series[node], node, i, frames, fps) for i, node in enumerate(nodes)],
                original_videos=[video],
                source_software="sleap-nn",
                scorer=provenance,
                skeleton=skeleton,
            )
            module.add(poses)
        writer: Any = NWBHDF5IO
        with writer(str(path), "w") as output:
            output.write(file)


def _names(given: Iterable[str], taken: Container[str] = ()) -> dict[str, str]:
    """Return the names that things have in a file, which are parts of paths there: as given, wherever that is possible.

    Args:
        given: What the user calls them.
        taken: Names that other things have.
    """
    names: dict[str, str] = {}
    used: set[str] = set()
    for name in sorted(given, key=lambda name: _FORBIDDEN.search(name) is not None):  # who can keep a name comes first
        wanted = _FORBIDDEN.sub("_", name) if name else "unnamed"
        candidates = chain([wanted], (f"{wanted}_{number}" for number in count(1)))
        names[name] = next(own for own in candidates if own not in used and own not in taken)
        used.add(names[name])
    return names


def _series(name: str, node: str, index: int, frames: Mapping[int, np.ndarray], fps: float | None) -> Any:
    """Return where a node was, in the frames in which it was found."""
    from ndx_pose import PoseEstimationSeries

    seen = [number for number in sorted(frames) if not np.isnan(frames[number][index]).any()]
    values = np.array([frames[number][index] for number in seen], np.float64).reshape(-1, 3)
    return PoseEstimationSeries(
        name=name,
        description=f"Positions of {node}",
        data=values[:, :2],
        unit="pixels",
        reference_frame=_REFERENCE,
        timestamps=np.array(seen, np.float64) / (1.0 if fps is None else fps),
        confidence=values[:, 2],
        confidence_definition="Value of the confidence map at the point",
    )
