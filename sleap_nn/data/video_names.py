"""What a video is called in messages, short and as the user knows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sleap_io.model.video import Video


def video_names(videos: Sequence[Video]) -> list[str]:
    """Return the file name of every video; folders are added where that is not enough to tell two apart.

    Images embedded in labels go by the video they were taken from; if they were taken from single images, by the labels
    file and their data set. A sequence of images goes by its folder.
    """
    origins = [video_origin(video) for video in videos]
    parts = [origin.split("/") for origin in origins]
    names = [part[-1] for part in parts]
    for depth in range(2, max(map(len, parts), default=1) + 1):
        counts = Counter(dict(zip(origins, names, strict=True)).values())
        names = ["/".join(part[-depth:]) if counts[name] > 1 else name for name, part in zip(names, parts, strict=True)]
    return names


def frame_name(video: Video, index: int) -> str:
    """Return the name of a frame: that of its video, or of the image it is in a sequence of images, and its index."""
    source = video if video.original_video is None else video.original_video
    is_image = isinstance(source.filename, list) and index < len(source.filename)
    path = _posix(source.filename[index]) if is_image else video_origin(video)
    return f"{path.rpartition('/')[2]}, frame {index}"


def video_origin(video: Video) -> str:
    """Return where the frames of a video come from, as a path with slashes: the same for the same video."""
    source = video.original_video
    origin = video if source is None or isinstance(source.filename, list) else source
    if isinstance(origin.filename, list):
        return _posix(origin.filename[0]).rpartition("/")[0] or _posix(origin.filename[0])
    dataset = origin.backend_metadata.get("dataset")
    suffix = f":{str(dataset).partition('/')[0]}" if dataset else ""
    return _posix(origin.filename) + suffix


def image_files(videos: Sequence[Video]) -> list[Path]:
    """Return the files that the frames of videos are read from."""
    names = [video.filename for video in videos]
    return [Path(name) for entry in names for name in ([entry] if isinstance(entry, str) else entry)]


def _posix(path: str) -> str:
    """Write a path with slashes: labels travel between operating systems."""
    return str(path).replace("\\", "/")
