"""Options of `sleap-nn render`: one field for every keyword of `sleap_nn.render.render`.

The drawing itself is in `sleap_nn.viz`; the import stays quick, because the command line's help reads it.
"""

from dataclasses import dataclass
from typing import Annotated

from sleap_nn.config.fields import Cli, Option
from sleap_nn.config.frames import frame_numbers

_OUTPUT = "Output"
_FRAMES = "Frames"
_GALLERY = "Gallery"
_LOOK = "Look"

VIDEO_SUFFIX = ".mp4"
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")


def video_name(value: str) -> str | None:
    """Return what is wrong with the name of a video."""
    return None if value.lower().endswith(VIDEO_SUFFIX) else f"must end in {VIDEO_SUFFIX}, not be {value!r}"


def picture_name(value: str) -> str | None:
    """Return what is wrong with the name of a picture."""
    return None if value.lower().endswith(PICTURE_SUFFIXES) else f"must end in .png or .jpg, not be {value!r}"


@dataclass(frozen=True, kw_only=True)
class RenderConfig:
    """How instances are drawn on a video, and on a gallery of its frames."""

    output_path: Annotated[
        str | None,
        Option(
            "Video to write, an .mp4; null: <labels>.overlay.mp4 beside the labels, or no video if a gallery is "
            "asked for.",
            check=video_name,
            cli=Cli(_OUTPUT, short="-o", aliases=("output",), metavar="MP4"),
        ),
    ] = None
    gallery: Annotated[
        str | None,
        Option(
            "Picture of some frames to write, a .png or .jpg; null: none.",
            check=picture_name,
            cli=Cli(_OUTPUT, short="-g", metavar="PNG"),
        ),
    ] = None
    fps: Annotated[
        float | None,
        Option(
            "Frames per second of the video; null: those of the source, or 25 for images.",
            ge=0.001,
            le=1000,
            cli=Cli(_OUTPUT),
        ),
    ] = None
    scale: Annotated[
        float | None,
        Option(
            "Factor by which frames are resized before they are drawn on; null: 1 for the video, and what fits a cell "
            "for the gallery.",
            gt=0,
            le=16,
            cli=Cli(_OUTPUT),
        ),
    ] = None
    quality: Annotated[
        int,
        Option(
            "Constant rate factor of H.264: 0 keeps everything, 18 looks the same, 51 is the smallest file.",
            ge=0,
            le=51,
            cli=Cli(_OUTPUT),
        ),
    ] = 18

    frames: Annotated[
        list[int] | None,
        Option(
            "Frames of the video to draw, e.g. 0,5,10-20, from 0; null: from the first to the last of the labels.",
            ge=0,
            convert=frame_numbers,
            cli=Cli(_FRAMES, metavar="FRAMES"),
        ),
    ] = None
    video_index: Annotated[
        int | None,
        Option(
            "Index, from 0, of the video of the labels to draw; null: the one with instances.", ge=0, cli=Cli(_FRAMES)
        ),
    ] = None
    only_listed_frames: Annotated[
        bool, Option("Leave out the frames between those that the labels list.", cli=Cli(_FRAMES))
    ] = False
    truth: Annotated[
        str | None,
        Option(
            "Labels to compare with, drawn as rings on the frames that both files list; null: none.",
            cli=Cli(_FRAMES, metavar="LABELS.slp"),
        ),
    ] = None

    gallery_frames: Annotated[int, Option("Number of frames in the gallery.", ge=1, le=400, cli=Cli(_GALLERY))] = 12
    gallery_by: Annotated[
        str,
        Option(
            "Frames of the gallery: spread over the video, or those whose worst instance has the lowest score.",
            choices=("spread", "lowest_score"),
            cli=Cli(_GALLERY),
        ),
    ] = "spread"

    gallery_crop: Annotated[
        bool,
        Option("Show the part of each frame in which the instances are, not all of it.", cli=Cli(_GALLERY, pair=True)),
    ] = True

    colour_by: Annotated[
        str | None,
        Option(
            "What has a colour of its own: a track keeps its colour over time; null: tracks if there are any, else "
            "nodes.",
            choices=("track", "instance", "node"),
            cli=Cli(_LOOK, aliases=("color_by",)),
        ),
    ] = None
    trail: Annotated[
        int, Option("Past frames through which the way of every track is drawn; 0: no trails.", ge=0, cli=Cli(_LOOK))
    ] = 0
    labels: Annotated[bool, Option("Write the name of its track beside each instance.", cli=Cli(_LOOK, pair=True))] = (
        True
    )
    scores: Annotated[bool, Option("Write its score beside each predicted instance.", cli=Cli(_LOOK, pair=True))] = (
        False
    )
    edges: Annotated[bool, Option("Draw the edges of the skeleton.", cli=Cli(_LOOK, pair=True))] = True
    legend: Annotated[
        bool, Option("Write the names of the tracks, or of the nodes, in their colours.", cli=Cli(_LOOK, pair=True))
    ] = False
    frame_numbers: Annotated[
        bool, Option("Write the number of the frame into the lower left corner.", cli=Cli(_LOOK, pair=True))
    ] = False
    marker_size: Annotated[
        float | None,
        Option(
            "Radius of the points in px of the output; null: by the size of frames and animals.", gt=0, cli=Cli(_LOOK)
        ),
    ] = None

    def __post_init__(self) -> None:
        """Check and convert the values."""
        from sleap_nn.config.schema import check_fields

        check_fields(self)
