"""Options of tracking: which instances of successive frames are the same animal.

The tracker is in `tracking`; the import of this module stays quick for the command line's help.
"""

from dataclasses import dataclass, replace
from typing import Annotated

from sleap_nn.config.availability import check_available
from sleap_nn.config.fields import Cli, Option
from sleap_nn.config.limits import MOST_CELLS
from sleap_nn.errors import ConfigError, UsageError

_TRACKING = "Tracking"


def node_indices(value: object) -> object:
    """Return the numbers of a text such as ``0,1,2``, and anything else as it is.

    Raises:
        ValueError: The text holds something else than whole numbers.
    """
    if not isinstance(value, str):
        return value
    items = [item.strip() for item in value.split(",")]
    if not all(item.isascii() and item.isdecimal() for item in items):
        raise ValueError(f"must be node indices such as 0,1,2, not {value!r}")
    return [int(item) for item in items]


@dataclass(frozen=True)
class TrackerConfig:
    """How tracks are made."""

    tracker: Annotated[
        str,
        Option(
            "When tracks are made: for every frame as it comes (online), or for a whole video at once (global), which "
            "keeps animals apart through crossings and gaps.",
            choices=("online", "global"),
            extension=True,
            cli=Cli(_TRACKING),
        ),
    ] = "online"
    window_size: Annotated[
        int,
        Option(
            "Memory in frames, or in instances of every track with local_queues.",
            ge=1,
            cli=Cli(_TRACKING, name="tracking_window_size"),
        ),
    ] = 5
    min_new_track_points: Annotated[
        int,
        Option(
            "An instance with more visible points than this starts a track.",
            ge=0,
            cli=Cli(_TRACKING),
        ),
    ] = 0
    candidates_method: Annotated[
        str,
        Option(
            "What an instance is compared with: the last frames, or the last instances of every track.",
            choices=("fixed_window", "local_queues"),
            cli=Cli(_TRACKING),
        ),
    ] = "fixed_window"
    min_match_points: Annotated[
        int,
        Option(
            "An instance with more visible points than this is compared with.",
            ge=0,
            cli=Cli(_TRACKING),
        ),
    ] = 0
    features: Annotated[
        str,
        Option(
            "What of an instance is compared; without it what scoring_method compares, else keypoints. image: the "
            "brightness about its nodes, with the global tracker besides everything else.",
            choices=("keypoints", "centroids", "bboxes", "image", "masks"),
            unavailable_values=("masks",),
            cli=Cli(_TRACKING),
        ),
    ] = "keypoints"
    scoring_method: Annotated[
        str,
        Option(
            "How two instances are compared; without it as suits features: oks for keypoints, euclidean_dist for "
            "centroids, iou for bboxes, cosine_sim for image.",
            choices=("oks", "cosine_sim", "iou", "euclidean_dist", "mask_iou"),
            unavailable_values=("mask_iou",),
            cli=Cli(_TRACKING),
        ),
    ] = "oks"
    scoring_reduction: Annotated[
        str,
        Option(
            "How the comparisons with one track become one score.",
            choices=("mean", "max", "robust_quantile"),
            cli=Cli(_TRACKING),
        ),
    ] = "mean"
    robust_best_instance: Annotated[float, Option("Quantile of robust_quantile.", ge=0, le=1, cli=Cli(_TRACKING))] = 1.0
    oks_stddev: Annotated[
        float | None,
        Option("Spread of the object keypoint similarity; null: 0.025.", gt=0, cli=Cli(_TRACKING)),
    ] = None
    track_matching_method: Annotated[
        str,
        Option(
            "How instances are assigned to tracks: best in total, or best pair first.",
            choices=("hungarian", "greedy"),
            cli=Cli(_TRACKING),
        ),
    ] = "hungarian"
    max_tracks: Annotated[
        int | None, Option("Largest number of tracks; null: any number.", ge=1, cli=Cli(_TRACKING))
    ] = None
    use_flow: Annotated[
        bool, Option("Shift earlier instances by optical flow before comparing.", cli=Cli(_TRACKING))
    ] = False
    of_img_scale: Annotated[
        float, Option("Factor by which images are resized for the flow.", gt=0, le=16, cli=Cli(_TRACKING))
    ] = 1.0
    of_window_size: Annotated[
        int, Option("Side in px of the window in which flow is estimated.", ge=1, le=MOST_CELLS, cli=Cli(_TRACKING))
    ] = 21
    of_max_levels: Annotated[
        int, Option("Number of halvings of the image for large movements.", ge=0, le=16, cli=Cli(_TRACKING))
    ] = 3
    use_kalman: Annotated[
        bool, Option("Predict movements by a Kalman filter; excludes use_flow.", cli=Cli(_TRACKING))
    ] = False
    kf_track_features: Annotated[
        str,
        Option("What the filter predicts.", choices=("centroid", "keypoints"), cli=Cli(_TRACKING)),
    ] = "centroid"
    kf_init_frame_count: Annotated[
        int, Option("Frames from which the filter is started.", ge=1, cli=Cli(_TRACKING))
    ] = 10
    kf_node_indices: Annotated[
        list[int] | None,
        Option(
            "Indices of the nodes that the filter follows, e.g. 0,1,2; null: all.",
            ge=0,
            convert=node_indices,
            cli=Cli(_TRACKING, metavar="INDICES"),
        ),
    ] = None
    kf_reset_gap_size: Annotated[
        int, Option("Missing frames after which a track's filter starts anew.", ge=1, cli=Cli(_TRACKING))
    ] = 5
    tracking_target_instance_count: Annotated[
        int | None, Option("Number of animals in the video; null: unknown.", ge=0, cli=Cli(_TRACKING))
    ] = None
    tracking_pre_cull_to_target: Annotated[
        int,
        Option("Other than 0: reduce every frame to that number before tracking.", ge=0, cli=Cli(_TRACKING)),
    ] = 0
    tracking_pre_cull_iou_threshold: Annotated[
        float,
        Option("Overlap of boxes above which the weaker instance goes first.", ge=0, le=1, cli=Cli(_TRACKING)),
    ] = 0.0
    tracking_clean_instance_count: Annotated[
        int,
        Option("Other than 0: reduce every frame to this number after tracking.", ge=0, cli=Cli(_TRACKING)),
    ] = 0
    tracking_clean_iou_threshold: Annotated[
        float,
        Option(
            "Overlap of boxes above which the weaker instance goes first after tracking.",
            ge=0,
            le=1,
            cli=Cli(_TRACKING),
        ),
    ] = 0.0
    post_connect_single_breaks: Annotated[
        bool,
        Option("Join two tracks when one ends in the frame before the other begins.", cli=Cli(_TRACKING)),
    ] = False

    features_explicit: Annotated[
        bool | None, Option("Whether features was chosen on purpose; null: if it is not the default.")
    ] = None
    scoring_method_explicit: Annotated[
        bool | None, Option("Whether scoring_method was chosen on purpose; null: if it is not the default.")
    ] = None
    candidates_method_explicit: Annotated[
        bool | None, Option("Whether candidates_method was chosen on purpose; null: if it is not the default.")
    ] = None

    def __post_init__(self) -> None:
        """Check and convert the values."""
        from sleap_nn.config.schema import check_fields

        check_fields(self)

    def was_chosen(self, name: str) -> bool:
        """Tell whether features, scoring_method or candidates_method was chosen on purpose."""
        explicit = vars(self)[f"{name}_explicit"]
        return vars(self)[name] != vars(TrackerConfig)[name] if explicit is None else bool(explicit)


COMBINATIONS = {
    "keypoints": ("oks", "cosine_sim", "euclidean_dist"),
    "centroids": ("euclidean_dist", "cosine_sim"),
    "bboxes": ("iou", "cosine_sim"),
    "image": ("cosine_sim", "euclidean_dist"),
}
"""Features -> the scoring methods that can compare them, the one that suits them best first."""

ONLINE_ONLY = (
    "window_size",
    "candidates_method",
    "min_match_points",
    "scoring_method",
    "scoring_reduction",
    "robust_best_instance",
    "oks_stddev",
    "track_matching_method",
    "use_flow",
    "use_kalman",
)
"""Options that the global tracker has no use for."""


def complete_tracking(config: TrackerConfig, max_instances: int | None = None) -> TrackerConfig:
    """Return the options with what follows from them, and refuse those that do not go together.

    Args:
        config: What was asked for.
        max_instances: Most instances of a frame, which stands in for the number of animals.

    Raises:
        UsageError: Options exclude each other.
        ConfigError: These are no options, or the number of animals is needed and not known.
    """
    if not isinstance(config, TrackerConfig):
        raise ConfigError(f"tracker_config is a {type(config).__name__}; give a TrackerConfig, or None for no tracks.")
    check_available(config)
    if config.use_kalman and config.use_flow:
        raise UsageError("use_kalman and use_flow exclude each other; choose one.")
    if config.tracker == "global":
        _check_global(config)
    else:
        _check_online(config)
    count = config.tracking_target_instance_count or max_instances
    needing = [name for name in ("post_connect_single_breaks", "tracking_pre_cull_to_target") if vars(config)[name]]
    if config.use_kalman and config.max_tracks is None:
        needing.append("use_kalman")
    if needing and not count:
        raise ConfigError(
            f"{needing[0]} needs the number of animals; set tracking_target_instance_count, or max_instances."
        )
    max_tracks = config.max_tracks
    if config.post_connect_single_breaks and max_tracks is None and config.tracker == "online":
        max_tracks = max_instances
    if not needing:
        count = config.tracking_target_instance_count
    return replace(config, tracking_target_instance_count=count, max_tracks=max_tracks)


def in_effect(config: TrackerConfig, num_nodes: int) -> TrackerConfig:
    """Return complete options with the values that count where several were open.

    An animal of one point is compared by its distance unless a user chose something else; what was left open suits
    what was chosen. A largest number of tracks needs a memory for each of them.

    Args:
        config: What `complete_tracking` returned.
        num_nodes: Nodes of the skeleton.

    Raises:
        ConfigError: A node does not exist.
    """
    missing = [index for index in config.kf_node_indices or () if index >= num_nodes]
    if missing:
        raise ConfigError(
            f"kf_node_indices names node {missing[0]}, but the skeleton has {num_nodes} node(s); choose 0 to "
            f"{num_nodes - 1}."
        )
    if config.tracker != "online":
        return config
    max_tracks = config.max_tracks
    if config.use_kalman and max_tracks is None:
        max_tracks = config.tracking_target_instance_count or None
    features, method = _compared(config, num_nodes)
    candidates = config.candidates_method if max_tracks is None else "local_queues"
    return replace(
        config, features=features, scoring_method=method, candidates_method=candidates, max_tracks=max_tracks
    )


def _compared(config: TrackerConfig, num_nodes: int) -> tuple[str, str]:
    """Return the features and the scoring method, those that were certainly left open to suit those that were not."""
    features, method = config.features, config.scoring_method
    chosen = {name: config.was_chosen(name) for name in ("features", "scoring_method")}
    if num_nodes == 1 and not any(chosen.values()):
        return "centroids", "euclidean_dist"
    if method in COMBINATIONS[features]:
        return features, method
    if config.scoring_method_explicit is False or (features == "image" and not chosen["scoring_method"]):
        return features, COMBINATIONS[features][0]
    if config.features_explicit is False:
        features = next(name for name, methods in COMBINATIONS.items() if method in methods)
    return features, method


def _check_online(config: TrackerConfig) -> None:
    """Refuse what cannot be compared.

    Raises:
        UsageError: The message says what can.
    """
    if config.features == "image" and (config.use_kalman or config.use_flow):
        raise UsageError("features=image compares no places, so use_kalman and use_flow have nothing to do; leave out.")
    features, method = _compared(config, num_nodes=2)
    if method not in COMBINATIONS[features]:
        raise UsageError(
            f"The scoring method {method} does not compare {features}; choose {' or '.join(COMBINATIONS[features])}, "
            "or other features."
        )


def _check_global(config: TrackerConfig) -> None:
    """Refuse options that would do nothing.

    Raises:
        UsageError: The message names the first.
    """
    default = TrackerConfig()
    idle = [name for name in ONLINE_ONLY if vars(config)[name] != vars(default)[name]]
    if config.features not in ("keypoints", "image"):
        idle.insert(0, "features")
    if idle:
        raise UsageError(
            f"{idle[0]} has no effect with tracker=global, which weighs motion, pose and looks by itself; leave it out."
        )
