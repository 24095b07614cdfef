"""Training profiles of SLEAP up to 1.4 (``training_config.json``) -> today's configuration, plain dict to plain dict.

Every key of a profile is carried over, dropped with a reason, or refused, and the result lists which. What a profile
does not say keeps the value that SLEAP had for it, where that differs from today's default.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sleap_nn.compat.sleap_skeleton import skeleton_from_graph

Tree = dict[str, Any]


@dataclass(frozen=True)
class Note:
    """What became of a key of a profile.

    Attributes:
        key: Dotted path in the profile.
        outcome: ``carried over``, ``adapted``, ``dropped`` or ``unknown``.
        detail: Today's key, or why there is none.
    """

    key: str
    outcome: str
    detail: str


@dataclass(frozen=True)
class Translation:
    """A translated profile.

    Attributes:
        tree: Nested values of today's configuration.
        notes: One note for every key that the profile sets, in its order.
    """

    tree: Tree
    notes: tuple[Note, ...]


_SAME: dict[str, str] = {
    "data.labels.validation_fraction": "data_config.validation_fraction",
    "data.labels.test_labels": "data_config.test_file_path",
    "data.preprocessing.ensure_rgb": "data_config.preprocessing.ensure_rgb",
    "data.preprocessing.ensure_grayscale": "data_config.preprocessing.ensure_grayscale",
    "data.preprocessing.target_height": "data_config.preprocessing.max_height",
    "data.preprocessing.target_width": "data_config.preprocessing.max_width",
    "data.preprocessing.input_scaling": "data_config.preprocessing.scale",
    "data.instance_cropping.crop_size": "data_config.preprocessing.crop_size",
    "optimization.epochs": "trainer_config.max_epochs",
    "optimization.batches_per_epoch": "trainer_config.train_steps_per_epoch",
    "optimization.min_batches_per_epoch": "trainer_config.min_train_steps_per_epoch",
    "optimization.online_shuffling": "trainer_config.train_data_loader.shuffle",
    "optimization.initial_learning_rate": "trainer_config.optimizer.lr",
    "outputs.runs_folder": "trainer_config.ckpt_dir",
    "outputs.save_visualizations": "trainer_config.visualize_preds_during_training",
    "outputs.keep_viz_images": "trainer_config.keep_viz",
    "outputs.checkpointing.latest_model": "trainer_config.model_ckpt.save_last",
    "outputs.zmq.controller_polling_timeout": "trainer_config.zmq.controller_polling_timeout",
    "name": "name",
    "description": "description",
}
"""Keys whose value is taken as it is; null leaves today's default, but for the labels' test file."""

_SECTIONS: dict[str, str] = {
    "optimization.early_stopping": "trainer_config.early_stopping",
    "optimization.hard_keypoint_mining": "trainer_config.online_hard_keypoint_mining",
}
"""Sections whose keys are taken over by `_SECTION_KEYS`, or under their own name."""

_SECTION_KEYS: dict[str, str] = {
    "plateau_min_delta": "min_delta",
    "plateau_patience": "patience",
}

_PLATEAU: dict[str, str] = {
    "plateau_min_delta": "threshold",
    "plateau_cooldown": "cooldown",
    "reduction_factor": "factor",
    "plateau_patience": "patience",
    "min_learning_rate": "min_lr",
}

_DROPPED: dict[str, str] = {
    "data.labels.split_by_inds": "frames are split by data_config.split",
    "data.labels.training_inds": "frames are split by data_config.split",
    "data.labels.validation_inds": "frames are split by data_config.split",
    "data.labels.test_inds": "frames are split by data_config.split",
    "data.labels.search_path_hints": "give --video-paths or --prefix-map where videos have moved",
    "data.preprocessing.pad_to_stride": "images are padded to the stride of the network",
    "data.preprocessing.imagenet_mode": "only backbones that cannot be carried over used it",
    "data.preprocessing.resize_and_pad_to_target": "images are always fitted to max_height and max_width",
    "data.instance_cropping.crop_size_detection_padding": "crop sizes that are null are computed anew",
    "data.instance_cropping.center_on_part": "anchor_part of the head decides",
    "optimization.preload_data": "see data_config.data_pipeline_fw for caches",
    "optimization.shuffle_buffer_size": "all frames are shuffled",
    "optimization.prefetch": "frames are always read ahead",
    "optimization.val_batches_per_epoch": "all validation frames are used",
    "optimization.min_val_batches_per_epoch": "all validation frames are used",
    "outputs.save_outputs": "a run is always saved",
    "outputs.tags": "there are no tags",
    "outputs.zip_outputs": "run folders are not zipped",
    "outputs.log_to_csv": "training_log.csv is always written",
    "outputs.checkpointing.initial_model": "the best weights are kept",
    "outputs.checkpointing.best_model": "the best weights are always kept",
    "outputs.checkpointing.every_epoch": "see model_ckpt.save_top_k",
    "outputs.checkpointing.final_model": "see model_ckpt.save_last",
    "outputs.tensorboard": "see trainer_config.use_tensorboard",
    "optimization.learning_rate_schedule": "the learning rate stays as it is without reduce_on_plateau",
    "sleap_version": "the running version is stamped on what is saved",
    "filename": "not used",
}
"""Keys, or whole sections, without a counterpart, and what takes their place."""

_HEADS = ("single_instance", "centroid", "centered_instance", "multi_class_bottomup", "multi_class_topdown")
_UNET: Tree = {
    "filters": 32,
    "filters_rate": 1.5,
    "max_stride": 16,
    "stem_stride": None,
    "middle_block": True,
    "up_interpolate": True,
    "stacks": 1,
    "output_stride": 1,
}


def is_profile(tree: Mapping[str, Any]) -> bool:
    """Return whether a tree has the sections of a SLEAP profile."""
    return isinstance(tree.get("data"), Mapping) and isinstance(tree.get("model"), Mapping)


def translate(profile: Mapping[str, Any]) -> Translation:
    """Return today's configuration for a profile.

    Args:
        profile: The parsed JSON; it is not changed.

    Raises:
        ValueError: The profile needs something that does not exist here; the message names the key.
    """
    if not is_profile(profile):
        raise ValueError("it has no sections 'data' and 'model', so it is no training profile of SLEAP")
    builder = _Builder(profile)
    for old, new in _SAME.items():
        if builder.get(old) is not None or new.endswith("test_file_path"):
            builder.put(old, new, builder.get(old))
    _labels(builder)
    _augmentation(builder)
    _optimization(builder)
    _outputs(builder)
    _model(builder)
    builder.set("trainer_config.save_ckpt", True)
    return Translation(builder.tree, builder.notes())


class _Builder:
    """Collects today's values and what became of the old keys."""

    def __init__(self, profile: Mapping[str, Any]) -> None:
        """Begin with nothing."""
        self._profile = profile
        self._outcome: dict[str, tuple[str, str]] = {}
        self.tree: Tree = {}

    def get(self, path: str, default: Any = None) -> Any:
        """Return a value of the profile."""
        return _at(self._profile, path, default)

    def set(self, path: str, value: Any) -> None:
        """Set a value of today's configuration."""
        *sections, name = path.split(".")
        place = self.tree
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value

    def put(self, old: str, new: str, value: Any, outcome: str = "carried over", detail: str = "") -> None:
        """Set a value, and note where it came from."""
        self.set(new, value)
        self.note(old, outcome, f"{new}{f': {detail}' if detail else ''}")

    def note(self, old: str, outcome: str, detail: str) -> None:
        """Note what became of a key or a section."""
        self._outcome[old] = (outcome, detail)

    def notes(self) -> tuple[Note, ...]:
        """Return a note for every key of the profile that has a value."""
        return tuple(
            Note(path, *self._of(path))
            for path, value in _leaves(self._profile)
            if value is not None and not path.startswith("data.labels.skeletons")
        )

    def _of(self, path: str) -> tuple[str, str]:
        """Return the outcome of a key: its own, or that of the closest section about it."""
        parts = path.split(".")
        for length in range(len(parts), 0, -1):
            section = ".".join(parts[:length])
            if section in self._outcome:
                return self._outcome[section]
            if section in _DROPPED:
                return "dropped", _DROPPED[section]
        return "unknown", "no version of SLEAP is known to use it"


def _labels(builder: _Builder) -> None:
    """Carry over label files and the skeleton."""
    for old, new in (("training_labels", "train_labels_path"), ("validation_labels", "val_labels_path")):
        value = builder.get(f"data.labels.{old}")
        builder.put(f"data.labels.{old}", f"data_config.{new}", None if value is None else [value], detail="a list")
    skeletons = builder.get("data.labels.skeletons") or []
    builder.set("data_config.skeletons", [skeleton_from_graph(graph) for graph in skeletons] or None)


def _augmentation(builder: _Builder) -> None:
    """Carry over the augmentation; an effect that is on happens to every sample."""
    section = "optimization.augmentation_config"
    given: Mapping[str, Any] = builder.get(section, {})
    geometric, intensity = "data_config.augmentation_config.geometric", "data_config.augmentation_config.intensity"
    for flag, prefix, names, place, convert in _effects(geometric, intensity):
        if flag not in given:
            continue
        is_on = bool(given[flag])
        builder.put(f"{section}.{flag}", f"{place}.{prefix}_p", 1.0 if is_on else 0.0)
        for old, new in names.items():
            if given.get(old) is not None:
                value = convert(float(given[old]), new)
                detail = "" if value == given[old] else f"{given[old]} became {value:g}"
                builder.put(
                    f"{section}.{old}", f"{place}.{new}", value, "adapted" if detail else "carried over", detail
                )
    if "random_flip" in given:
        horizontal = bool(given.get("flip_horizontal", True))
        is_on = bool(given["random_flip"])
        builder.put(f"{section}.random_flip", f"{geometric}.flip_p", 0.5 if is_on and horizontal else 0.0)
        reason = "carried over" if horizontal or not is_on else "dropped"
        builder.note(f"{section}.flip_horizontal", reason, "only horizontal flips exist")
    for name in given:
        if name.startswith(("translate", "random_crop")):
            builder.note(f"{section}.{name}", "dropped", "see translate_width and translate_height for shifts")


def _effects(
    geometric: str, intensity: str
) -> Iterator[tuple[str, str, dict[str, str], str, Callable[[float, str], float]]]:
    """Yield (old flag, prefix of the new keys, old name -> new name, section, conversion) of every effect."""

    def same(value: float, name: str) -> float:
        return value

    def of_255(value: float, name: str) -> float:
        return value / 255

    def clamped(value: float, name: str) -> float:
        return min(value, 1.0) if name.endswith("max") else max(value, 0.0)

    def at_most_2(value: float, name: str) -> float:
        return min(value, 2.0)

    yield (
        "rotate",
        "rotation",
        {"rotation_min_angle": "rotation_min", "rotation_max_angle": "rotation_max"},
        geometric,
        same,
    )
    yield "scale", "scale", {"scale_min": "scale_min", "scale_max": "scale_max"}, geometric, same
    yield (
        "uniform_noise",
        "uniform_noise",
        {"uniform_noise_min_val": "uniform_noise_min", "uniform_noise_max_val": "uniform_noise_max"},
        intensity,
        clamped,
    )
    yield (
        "gaussian_noise",
        "gaussian_noise",
        {"gaussian_noise_mean": "gaussian_noise_mean", "gaussian_noise_stddev": "gaussian_noise_std"},
        intensity,
        of_255,
    )
    yield (
        "contrast",
        "contrast",
        {"contrast_min_gamma": "contrast_min", "contrast_max_gamma": "contrast_max"},
        intensity,
        same,
    )
    yield (
        "brightness",
        "brightness",
        {"brightness_min_val": "brightness_min", "brightness_max_val": "brightness_max"},
        intensity,
        at_most_2,
    )


def _optimization(builder: _Builder) -> None:
    """Carry over the optimizer, its schedule and when training stops."""
    batch_size = builder.get("optimization.batch_size")
    if batch_size is not None:
        for loader in ("train_data_loader", "val_data_loader"):
            builder.put("optimization.batch_size", f"trainer_config.{loader}.batch_size", batch_size)
    optimizer = builder.get("optimization.optimizer")
    if optimizer is not None:
        builder.put("optimization.optimizer", "trainer_config.optimizer_name", str(optimizer).capitalize())
    for old, new in _SECTIONS.items():
        for key, value in builder.get(old, {}).items():
            builder.put(f"{old}.{key}", f"{new}.{_SECTION_KEYS.get(key, key)}", value)
    schedule: Mapping[str, Any] = builder.get("optimization.learning_rate_schedule", {})
    if schedule.get("reduce_on_plateau"):
        old, new = "optimization.learning_rate_schedule", "trainer_config.lr_scheduler.reduce_lr_on_plateau"
        builder.note(f"{old}.reduce_on_plateau", "carried over", new)
        builder.set(f"{new}.threshold_mode", "abs")
        for key, value in schedule.items():
            if key in _PLATEAU and value is not None:
                builder.put(f"{old}.{key}", f"{new}.{_PLATEAU[key]}", value)
    else:
        builder.set("trainer_config.lr_scheduler.reduce_lr_on_plateau", None)


def _outputs(builder: _Builder) -> None:
    """Carry over the name of the run and the ports of the GUI."""
    parts = {name: builder.get(f"outputs.{name}") for name in ("run_name_prefix", "run_name", "run_name_suffix")}
    run_name = "".join(str(part) for part in parts.values() if part)
    for name in parts:
        builder.note(f"outputs.{name}", "carried over", "trainer_config.run_name")
    builder.set("trainer_config.run_name", run_name or None)
    ports = (
        ("subscribe_to_controller", "controller_address", "controller_port"),
        ("publish_updates", "publish_address", "publish_port"),
    )
    for flag, address, port in ports:
        is_on = bool(builder.get(f"outputs.zmq.{flag}"))
        given = str(builder.get(f"outputs.zmq.{address}") or "")
        digits = given.rpartition(":")[2]
        builder.note(f"outputs.zmq.{flag}", "carried over" if is_on else "dropped", f"trainer_config.zmq.{port}")
        builder.note(f"outputs.zmq.{address}", "dropped", f"{flag} is off")
        if is_on and digits.isdecimal():
            builder.put(f"outputs.zmq.{address}", f"trainer_config.zmq.{port}", int(digits), "adapted", "the port")


def _model(builder: _Builder) -> None:
    """Carry over backbone, heads and the weights to start from."""
    backbones = {name: value for name, value in builder.get("model.backbone", {}).items() if value is not None}
    if set(backbones) != {"unet"}:
        found = ", ".join(backbones) or "none"
        raise ValueError(f"model.backbone is {found}; only unet can be carried over, train such a model anew")
    for name, default in _UNET.items():
        value = backbones["unet"].get(name, default)
        builder.put(f"model.backbone.unet.{name}", f"model_config.backbone_config.unet.{name}", value)
    given = {name: value for name, value in builder.get("model.heads", {}).items() if value is not None}
    if len(given) != 1:
        raise ValueError(f"model.heads sets {', '.join(given) or 'no head'}; exactly one is needed")
    ((name, head),) = given.items()
    new = "bottomup" if name == "multi_instance" else name
    if new != "bottomup" and new not in _HEADS:
        raise ValueError(f"model.heads has {name!r}, which no version of SLEAP is known to use")
    builder.set(f"model_config.head_configs.{new}", _head(builder, name, new, head))
    checkpoint = builder.get("model.base_checkpoint")
    if checkpoint:
        for key in ("pretrained_backbone_weights", "pretrained_head_weights"):
            builder.put("model.base_checkpoint", f"model_config.{key}", checkpoint)


_LAYER_DEFAULTS: dict[str, Tree] = {
    "confmaps": {"sigma": 5.0, "output_stride": 1},
    "pafs": {"sigma": 15.0, "output_stride": 1},
    "class_maps": {"sigma": 15.0, "output_stride": 1},
    "class_vectors": {"num_fc_layers": 2, "num_fc_units": 1024},
}


def _head(builder: _Builder, name: str, new: str, head: Mapping[str, Any]) -> Tree:
    """Return the layers of a head."""
    nested = {key: value for key, value in head.items() if isinstance(value, Mapping)}
    layers: Tree = {}
    for layer, values in (nested or {"confmaps": head}).items():
        path = f"model.heads.{name}.{layer}" if nested else f"model.heads.{name}"
        layers[layer] = dict(_LAYER_DEFAULTS.get(layer, {}))
        if new not in ("single_instance", "centroid"):
            layers[layer]["loss_weight"] = 1.0
        for key, value in values.items():
            if key == "offset_refinement":
                outcome = "dropped" if value else "carried over"
                builder.note(f"{path}.{key}", outcome, "offsets are not learned; peaks are refined on the maps")
            elif key == "loss_weight" and new in ("single_instance", "centroid"):
                builder.note(f"{path}.{key}", "dropped", "a single head has no weight")
            elif key == "output_stride" and layer == "class_vectors":
                builder.note(f"{path}.{key}", "dropped", "class vectors read the bottleneck")
            else:
                target = f"model_config.head_configs.{new}.{layer}.{key}"
                builder.note(f"{path}.{key}", "carried over", target)
                if value is not None or key in ("part_names", "anchor_part", "edges", "classes"):
                    layers[layer][key] = value
    return layers


def _at(tree: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """Return the value at a dotted path."""
    place: Any = tree
    for name in path.split("."):
        if not isinstance(place, Mapping) or name not in place:
            return default
        place = place[name]
    return default if place is None else place


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted path and the value of every key that holds no section."""
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}.")
        else:
            yield path, value
