"""Media files of every awkward kind, written with PyAV, and ways to damage them."""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import sleap_io as sio
from av.packet import Packet

MILLISECONDS = Fraction(1, 1000)
B_FRAMES = {"bf": "3", "g": "12", "b_strategy": "0", "sc_threshold": "0"}
"""Three B-frames after every other frame; frames like ours the encoder would take for cuts, and use none."""
AWKWARD: dict[str, dict[str, Any]] = {
    "fragments.mp4": {"mux": {"movflags": "frag_keyframe+empty_moov"}},
    "stream.mp4": {"container_format": "mpegts"},
    "live.mkv": {"mux": {"live": "1"}},
    "raw.mp4": {"container_format": "h264"},
    "variable.mkv": {"variable_rate": True},
    "one.mkv": {"num_frames": 1},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "12"}},
}
"""Files that OpenCV reads otherwise than they are stored, or not at all, or whose frames it counts wrongly."""


def write_media(
    path: Path,
    num_frames: int = 40,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    variable_rate: bool = False,
    mux: dict[str, str] | None = None,
    container_format: str | None = None,
    time_base: Fraction = MILLISECONDS,
) -> Path:
    """Write grey frames that all differ; by default B-frames and a key frame every 12."""
    with av.open(str(path), "w", format=container_format, options=mux or {}) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = time_base
        stream.options = B_FRAMES if options is None else options
        time = 0
        for number in range(num_frames):
            image = np.full((64, 96, 3), number * 5 % 256, np.uint8)
            image[:, : 2 * number] = 255 - number * 5 % 256
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = time, time_base
            time += (17 if number % 3 else 61) if variable_rate else max(1, int(time_base.denominator * 0.033))
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


FASTSTART = {"movflags": "faststart"}


def remux(source: Path, target: Path, edit: Callable[[int, Packet], None], without: Sequence[int] = ()) -> Path:
    """Copy packets to another file, but for some; `edit` may change them, it gets their places in the file."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        found = [packet for packet in old.demux(old.streams.video[0]) if packet.size]
        for place, packet in enumerate(found):
            edit(place, packet)
            packet.stream = stream
            if place not in without:
                new.mux(packet)
    return target


def packet_ends(path: Path) -> list[int]:
    """Return where each packet of a file ends."""
    with av.open(str(path)) as container:
        return [int(packet.pos or 0) + packet.size for packet in container.demux(video=0) if packet.size]


def rotate(path: Path) -> Path:
    """Let an .mp4 say that its frames are to be shown turned clockwise by a quarter."""
    data = bytearray(path.read_bytes())
    place = data.find(b"tkhd") + 44
    data[place : place + 36] = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def predictions(video: sio.Video, frames: list[int]) -> sio.Labels:
    """Return one animal in each of some frames."""
    skeleton = sio.Skeleton(["a", "b"])
    points = np.array([[1.0, 2.0], [3.0, 4.0]])
    found = [sio.PredictedInstance.from_numpy(points, skeleton) for _ in frames]
    labeled = [sio.LabeledFrame(video, f, [animal]) for f, animal in zip(frames, found, strict=True)]
    return sio.Labels(labeled, videos=[video], skeletons=[skeleton])
