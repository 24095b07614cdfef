"""Labels as Neurodata Without Borders by sleap-io; the file names the videos, it holds no images."""

from __future__ import annotations

import warnings
from pathlib import Path

from sleap_io.io.main import save_nwb
from sleap_io.model.labels import Labels

from sleap_nn.data.label_export.frames import ExportedFrames
from sleap_nn.errors import DataError


def write(frames: ExportedFrames, place: Path) -> None:
    """Write ``labels.nwb``.

    Raises:
        DataError: The images are embedded in the labels, so there is no video that the file could name.
    """
    labels = Labels(
        [frame.labels for frame in frames.frames],
        videos=list(frames.labels.videos),
        skeletons=[frames.skeleton],
        tracks=list(frames.labels.tracks),
    )
    try:
        with warnings.catch_warnings():  # about versions of the format, which are nothing to the user
            warnings.simplefilter("ignore")
            save_nwb(labels, str(place / "labels.nwb"), nwb_format="annotations")
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"The labels cannot be written as NWB ({error}); it names videos or images, so use labels without embedded "
            "images."
        ) from error
