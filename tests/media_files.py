"""Media files of every awkward kind, written with PyAV, and ways to damage them."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

MILLISECONDS = Fraction(1, 1000)


def write_media(
    path: Path,
    num_frames: int = 40,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    variable_rate: bool = False,
    faststart: bool = False,
) -> Path:
    """Write grey frames that all differ; by default B-frames and a key frame every 12."""
    mux = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=mux) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = MILLISECONDS
        stream.options = {"bf": "3", "g": "12"} if options is None else options
        time = 0
        for number in range(num_frames):
            image = np.full((64, 96, 3), number * 5 % 256, np.uint8)
            image[:, : 2 * number] = 255 - number * 5 % 256
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = time, MILLISECONDS
            time += (17 if number % 3 else 61) if variable_rate else 33
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decode_all(path: Path) -> list[np.ndarray]:
    """Return the first channel of every frame, decoded from the start."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24")[..., :1].copy() for frame in container.decode(video=0)]


def damage(path: Path, packets: Sequence[int]) -> list[int]:
    """Overwrite packets of a file, counted in the order of the file; return which frames they hold."""
    with av.open(str(path)) as container:
        found = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
        places = [(packet.pos, packet.size, packet.pts) for packet in found]
    data = bytearray(path.read_bytes())
    for index in packets:
        place, size, _ = places[index]
        data[place : place + size] = b"\xff" * size
    path.write_bytes(data)
    times = sorted(time for _, _, time in places)
    return [times.index(places[index][2]) for index in packets]


def truncate(path: Path, share: float) -> None:
    """Keep the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
