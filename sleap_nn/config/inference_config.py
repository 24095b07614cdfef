"""Options of prediction: one field for every keyword of `sleap_nn.predict` and every option of its commands.

Filters and tracking have their own sections in `filter_config` and `tracker_config`, options of masks in
`mask_config`. The import stays quick, because the command line's help reads it.
"""

from dataclasses import dataclass, field
from typing import Annotated

from sleap_nn.compat.config_keys import one_item_list
from sleap_nn.config.checks import device_name, odd
from sleap_nn.config.fields import Cli, Option
from sleap_nn.config.filter_config import FilterConfig
from sleap_nn.config.frames import frame_numbers
from sleap_nn.config.limits import MOST_CELLS, MOST_PX, MOST_SAMPLES, MOST_WORKERS
from sleap_nn.config.mask_config import MaskConfig
from sleap_nn.config.tracker_config import TrackerConfig
from sleap_nn.errors import UsageError

FORMATS = ("slp", "analysis_h5", "csv", "dlc", "coco", "nwb")
"""What predictions are written as."""

CLASS_ASSIGNMENTS = ("probability", "weighted")
"""How peaks are shared out among classes: by class probability alone, or weighed by the height of the peak."""

_OFF = ("", "null", "off", "no", "false")
"""Words beside "none" that switch the refinement of peaks off."""

_MODELS = "Models and output"
_FRAMES = "Frames"
_IMAGES = "Images"
_PEAKS = "Peaks and grouping"
_TRACKING = "Tracking"


def refinement_name(value: object) -> object:
    """Return a text in lower case, and "none" for null and the words that switch something off."""
    name = lower_case(value)
    return "none" if name in (None, *_OFF) else name


def format_names(value: object) -> object:
    """Return one name or several as a list, in lower case."""
    names = one_item_list(value)
    return [name.lower() if isinstance(name, str) else name for name in names] if isinstance(names, list) else names


def embed_name(value: object) -> object:
    """Return "true" or "false" for a truth value, and a text in lower case."""
    return str(value).lower() if isinstance(value, bool | str) else value


def lower_case(value: object) -> object:
    """Return a text in lower case."""
    return value.lower() if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """How a video or labels file is predicted."""

    model_paths: Annotated[
        list[str] | None,
        Option(
            "Folder of a trained model, or its best.ckpt or training_config file; two for a top-down pair; or an "
            "exported folder; null: none.",
            convert=one_item_list,
            cli=Cli(_MODELS, short="-m", repeat=True, metavar="PATH"),
        ),
    ] = None
    export_dir: Annotated[
        str | None,
        Option("Folder of an exported model, instead of model_paths; null: none."),
    ] = None
    output_path: Annotated[
        str | None,
        Option(
            "File to write, a .slp if labels are among the formats, or of several inputs a folder; null: named after "
            "the input.",
            cli=Cli(_MODELS, short="-o", aliases=("output",), metavar="PATH"),
        ),
    ] = None
    device: Annotated[
        str,
        Option(
            "auto, cpu, cuda, cuda:<number> or mps; auto: the fastest there is.",
            check=device_name,
            cli=Cli(_MODELS, short="-d"),
        ),
    ] = "auto"
    precision: Annotated[
        str,
        Option(
            "Numbers of the network; auto: bf16 if it was trained so and the device is fast at it, else 32.",
            choices=("auto", "32", "bf16", "16"),
            cli=Cli(_MODELS),
        ),
    ] = "auto"
    batch_size: Annotated[
        int, Option("Frames in one pass through the network.", ge=1, le=MOST_SAMPLES, cli=Cli(_MODELS, short="-b"))
    ] = 4
    queue_maxsize: Annotated[
        int, Option("Frames that are read ahead of the network.", ge=1, le=MOST_SAMPLES, cli=Cli(_MODELS))
    ] = 32
    runtime: Annotated[
        str,
        Option(
            "What executes an exported model; auto: TensorRT where the folder has it and it can run, else ONNX.",
            choices=("auto", "onnx", "tensorrt"),
            convert=lower_case,
            cli=Cli(_MODELS, metavar="[auto|onnx|tensorrt]"),
        ),
    ] = "auto"
    backbone_ckpt_path: Annotated[
        str | None,
        Option(
            "Checkpoint whose weights replace those of the models, or only of their backbones if "
            "head_ckpt_path is given; null: the models' own.",
            cli=Cli(_MODELS, metavar="PATH"),
        ),
    ] = None
    head_ckpt_path: Annotated[
        str | None,
        Option(
            "Checkpoint whose weights replace those of the heads; null: the models' own.",
            cli=Cli(_MODELS, metavar="PATH"),
        ),
    ] = None
    output_format: Annotated[
        list[str],
        Option(
            "What is written, once for every format: slp, analysis_h5, csv, dlc, coco or nwb; null: slp.",
            choices=FORMATS,
            convert=format_names,
            cli=Cli(_MODELS, repeat=True, aliases=("format",), metavar="FORMAT"),
        ),
    ] = field(default_factory=lambda: ["slp"])
    embed: Annotated[
        str,
        Option(
            "Store the frames' images in the output file; auto: if the input stores them.",
            choices=("false", "true", "auto"),
            convert=embed_name,
            cli=Cli(_MODELS, metavar="[false|true|auto]"),
        ),
    ] = "false"
    restore_source_videos: Annotated[
        bool,
        Option(
            "Let the output refer to the original videos instead of the input file.",
            cli=Cli(_MODELS, pair=True),
        ),
    ] = False
    no_empty_frames: Annotated[
        bool,
        Option(
            "Leave frames without instances out of the result.",
            cli=Cli(_MODELS, aliases=("clean_empty_frames",)),
        ),
    ] = False
    gui: Annotated[
        bool,
        Option("Report progress as JSON lines on standard output.", cli=Cli(_MODELS)),
    ] = False
    stream_to_file: Annotated[
        str | None,
        Option(
            "Another name of output_path, which it replaces; null: output_path. Every output is written while "
            "prediction runs.",
            cli=Cli(_MODELS, name="stream-to-file", metavar="PATH"),
        ),
    ] = None
    write_interval: Annotated[
        int | None,
        Option(
            "Frames between two writes of the journal, which a crash can cost at most; null: 500.",
            ge=1,
            cli=Cli(_MODELS, name="write-interval"),
        ),
    ] = None
    resume: Annotated[
        bool,
        Option(
            "Go on with the journal that an interrupted prediction has left beside its output; a finished one stays.",
            cli=Cli(_MODELS),
        ),
    ] = False

    frames: Annotated[
        list[int] | None,
        Option(
            "Frames to predict, e.g. 0,5,10-20: indices in a video, positions in a labels file; null: all.",
            ge=0,
            convert=frame_numbers,
            cli=Cli(_FRAMES, metavar="FRAMES"),
        ),
    ] = None
    video_index: Annotated[
        int | None,
        Option("Index, from 0, of the one video of a labels file to predict; null: all.", ge=0, cli=Cli(_FRAMES)),
    ] = None
    only_labeled_frames: Annotated[bool, Option("Only frames with instances labelled by a user.", cli=Cli(_FRAMES))] = (
        False
    )
    only_suggested_frames: Annotated[
        bool, Option("Only suggested frames that no user has labelled.", cli=Cli(_FRAMES))
    ] = False
    only_predicted_frames: Annotated[bool, Option("Only frames that have predictions already.", cli=Cli(_FRAMES))] = (
        False
    )
    exclude_user_labeled: Annotated[
        bool, Option("Skip frames with instances labelled by a user.", cli=Cli(_FRAMES))
    ] = False
    video_dataset: Annotated[
        str | None,
        Option("Name of the data set in an HDF5 video; null: found.", cli=Cli(_FRAMES)),
    ] = None
    video_input_format: Annotated[
        str,
        Option(
            "Order of the axes in an HDF5 video: frame, height, width, channel; or frame, channel, width, height.",
            choices=("channels_last", "channels_first"),
            cli=Cli(_FRAMES),
        ),
    ] = "channels_last"

    roi: Annotated[
        bool,
        Option(
            "Follow the animal of a single_instance model with a part of the frame about its last pose, and read the "
            "whole frame where it is lost: faster.",
            cli=Cli(_IMAGES),
        ),
    ] = False
    roi_check_interval: Annotated[
        int,
        Option(
            "With roi, frames after which the whole frame is read even if the animal was not lost.",
            ge=1,
            cli=Cli(_IMAGES),
        ),
    ] = 100
    max_height: Annotated[
        int | None,
        Option("Height in px to which frames are fitted; null: as in training.", gt=0, le=MOST_PX, cli=Cli(_IMAGES)),
    ] = None
    max_width: Annotated[
        int | None,
        Option("Width in px to which frames are fitted; null: as in training.", gt=0, le=MOST_PX, cli=Cli(_IMAGES)),
    ] = None
    input_scale: Annotated[
        float | None,
        Option(
            "Factor by which the image is resized before the network sees it; null: as in training.",
            gt=0,
            le=64,
            cli=Cli(_IMAGES),
        ),
    ] = None
    ensure_rgb: Annotated[
        bool | None,
        Option("Repeat one-channel images to three channels; null: as in training.", cli=Cli(_IMAGES, pair=True)),
    ] = None
    ensure_grayscale: Annotated[
        bool | None,
        Option("Reduce three-channel images to one channel; null: as in training.", cli=Cli(_IMAGES, pair=True)),
    ] = None
    crop_size: Annotated[
        int | None,
        Option("Side of crops in px before scale; null: as in training.", gt=0, le=MOST_PX, cli=Cli(_IMAGES)),
    ] = None
    anchor_part: Annotated[
        str | None,
        Option(
            "Node about which crops of labelled animals are cut, and at which centroids are stored; null: as in "
            "training.",
            cli=Cli(_IMAGES),
        ),
    ] = None

    peak_threshold: Annotated[
        float,
        Option(
            "Smallest confidence of a peak.",
            none_is_default=True,
            cli=Cli(_PEAKS, aliases=("peak_conf_threshold",)),
        ),
    ] = 0.2
    centroid_threshold: Annotated[
        float | None,
        Option(
            "Smallest confidence of a centroid; null: peak_threshold.",
            cli=Cli(_PEAKS, name="centroid_peak_threshold"),
        ),
    ] = None
    keypoint_threshold: Annotated[
        float | None,
        Option("Smallest confidence of a keypoint in a crop; null: peak_threshold."),
    ] = None
    integral_refinement: Annotated[
        str,
        Option(
            "Place peaks between cells by the mean of their surroundings (integral), by the top of a Gaussian "
            "(gaussian, more exact), or not (none).",
            convert=refinement_name,
            choices=("integral", "gaussian", "none"),
            cli=Cli(_PEAKS),
        ),
    ] = "integral"
    integral_patch_size: Annotated[
        int,
        Option(
            "Side of those surroundings in cells of the map, an odd number.",
            ge=1,
            le=MOST_CELLS,
            check=odd,
            none_is_default=True,
            cli=Cli(_PEAKS),
        ),
    ] = 5
    max_instances: Annotated[
        int | None,
        Option(
            "Largest number of instances in a frame, those with the highest scores; null: any number.",
            ge=1,
            le=MOST_SAMPLES,
            cli=Cli(_PEAKS, short="-n"),
        ),
    ] = None
    max_edge_length_ratio: Annotated[
        float,
        Option(
            "Longest edge that is not penalised, as a fraction of the larger image side.",
            gt=0,
            cli=Cli(_PEAKS),
        ),
    ] = 0.25
    dist_penalty_weight: Annotated[float, Option("Weight of the penalty for longer edges.", ge=0, cli=Cli(_PEAKS))] = (
        1.0
    )
    n_points: Annotated[int, Option("Points sampled along a candidate edge.", ge=1, le=MOST_CELLS, cli=Cli(_PEAKS))] = (
        10
    )
    min_instance_peaks: Annotated[
        float,
        Option(
            "Points that a grouped instance needs: a number, or below 1 a fraction of the nodes.",
            ge=0,
            cli=Cli(_PEAKS),
        ),
    ] = 0.0
    min_line_scores: Annotated[float, Option("Smallest score of an edge, -1 to 1.", ge=-1, le=1, cli=Cli(_PEAKS))] = (
        0.25
    )
    class_assignment: Annotated[
        str,
        Option(
            "Which of several peaks of a node an animal of a multi_class_bottomup model gets: the one with the highest "
            "probability of its class (probability), or the highest product of that and the peak's height (weighted).",
            choices=CLASS_ASSIGNMENTS,
            convert=lower_case,
            cli=Cli(_PEAKS, metavar="[probability|weighted]"),
        ),
    ] = "probability"
    paf_workers: Annotated[
        int,
        Option(
            "Processes that group bottom-up predictions; 0: none besides the main one.",
            ge=0,
            le=MOST_WORKERS,
            cli=Cli(_PEAKS, name="paf-workers", aliases=("cpu-workers",)),
        ),
    ] = 0
    centroid_only: Annotated[bool, Option("Predict centroids and ignore the model of the crops.", cli=Cli(_PEAKS))] = (
        False
    )
    emit_centroid: Annotated[
        str,
        Option(
            "How centroids without keypoints are stored: as one-node instances, as centroids, or as both.",
            choices=("instance", "centroid", "both"),
            cli=Cli(_PEAKS, name="centroid-output"),
        ),
    ] = "instance"

    tracking: Annotated[
        bool,
        Option(
            "Join the instances of successive frames to tracks; without -m those of a .slp file.",
            cli=Cli(_TRACKING, short="-t"),
        ),
    ] = False
    tracker_config: Annotated[TrackerConfig | None, Option("How tracks are made; null: no tracking.")] = None
    filter_config: Annotated[FilterConfig | None, Option("Which predictions are removed; null: none.")] = None
    mask_config: Annotated[MaskConfig | None, Option("How masks are made; null: by the defaults.", available=False)] = (
        None
    )

    return_confmaps: Annotated[bool, Option("Keep the confidence maps in raw results.")] = False
    return_crops: Annotated[bool, Option("Keep the crops in raw results.")] = False
    return_pafs: Annotated[bool, Option("Keep the part affinity fields in raw results.")] = False
    return_paf_graph: Annotated[bool, Option("Keep the scored edges in raw results.")] = False
    return_class_maps: Annotated[bool, Option("Keep the class maps in raw results.")] = False
    return_class_vectors: Annotated[bool, Option("Keep the class vectors in raw results.")] = False

    def __post_init__(self) -> None:
        """Check and convert the values."""
        from sleap_nn.config.schema import check_fields

        check_fields(self)
        for one, other in (
            ("ensure_rgb", "ensure_grayscale"),
            ("only_labeled_frames", "exclude_user_labeled"),
        ):
            if vars(self)[one] and vars(self)[other]:
                raise UsageError(f"{one} and {other} exclude each other; give one of them.")
        if self.tracking and self.emit_centroid != "instance":
            raise UsageError("Tracking needs instances; leave emit_centroid (--centroid-output) at instance.")
