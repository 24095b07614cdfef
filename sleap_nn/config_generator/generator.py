"""`ConfigGenerator`: from labels to the YAML files that train on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from sleap_nn.config.get_config import get_backbone_config
from sleap_nn.config.training_job_config import DictConfig, TrainingJobConfig
from sleap_nn.config_generator.assemble import Choices, assemble
from sleap_nn.config_generator.memory import MemoryEstimate, estimate_memory
from sleap_nn.config_generator.pipelines import PIPELINES, VIEWS, check_choice, check_pipeline
from sleap_nn.config_generator.recommend import ConfigRecommendation, recommend_config
from sleap_nn.config_generator.stats import DatasetStats, analyze_labels
from sleap_nn.data.labels import Labels, load_labels
from sleap_nn.errors import ConfigError, InputOverwrittenError
from sleap_nn.log import logger
from sleap_nn.tasks import TASKS

TITLES = {"centroid": "CENTROID", "centered_instance": "CENTERED INSTANCE"}
"""File of a pair -> how the YAML text of both names it."""


class ConfigGenerator:
    """Makes training configurations for labels; what is not set is recommended.

    Setters return the generator and may follow each other in any order. A top-down pipeline has two configurations,
    of the model that finds animals and of the one that reads crops about them.
    """

    def __init__(self, labels: Labels, labels_path: str | Path | None = None) -> None:
        """Look at labels; `from_slp` and `from_labels` are the usual ways.

        Args:
            labels: The labels.
            labels_path: Their file, None if they are passed to training as objects.

        Raises:
            DataError: There is no skeleton, nothing is labelled, or the size of frames is not known.
        """
        self._stats = analyze_labels(labels)
        self._labels_path = None if labels_path is None else str(Path(labels_path).absolute())
        self._choices = Choices()

    @classmethod
    def from_slp(cls, path: str | Path) -> Self:
        """Look at a labels file; its videos need not be there if it says how large their frames are.

        Raises:
            MissingFileError: There is no such file.
            DataError: It is no labels file, or its labels cannot be trained on.
        """
        return cls(load_labels(path, open_videos=False), path)

    @classmethod
    def from_labels(cls, labels: Labels) -> Self:
        """Look at labels in memory; the file they were read from, if it is still there, is named in the configuration.

        Raises:
            DataError: The labels cannot be trained on.
        """
        source = labels.provenance.get("filename")
        return cls(labels, source if source is not None and Path(source).is_file() else None)

    @property
    def stats(self) -> DatasetStats:
        """What is known of the labels."""
        return self._stats

    @property
    def model_types(self) -> tuple[str, ...]:
        """The model types of the pipeline, in the order in which they predict."""
        return PIPELINES[self._pipeline]

    def auto(self, view: str | None = None) -> Self:
        """Use what is recommended wherever nothing else is set.

        Args:
            view: From where the camera looks, ``side`` or ``top``; None: as the directions of the animals suggest.

        Raises:
            ConfigError: There is no such view.
        """
        if view is not None:
            check_choice("view", view, VIEWS)
        return self._choose(view=view)

    def pipeline(self, name: str) -> Self:
        """Set which models are trained.

        Raises:
            ConfigError: There is no such pipeline, or the labels lack what it needs.
        """
        check_pipeline(name, self._stats)
        return self._choose(pipeline=name)

    def backbone(self, name: str) -> Self:
        """Set the network by its short name, such as ``unet_medium_rf``.

        Raises:
            ConfigError: There is no such backbone.
        """
        get_backbone_config(name)
        return self._choose(backbone=name)

    def batch_size(self, n: int | str) -> Self:
        """Set the samples of a step, for training and validation; ``auto`` takes what fits."""
        return self._choose(batch_size=n)

    def max_epochs(self, n: int) -> Self:
        """Set after how many epochs training ends."""
        return self._choose(max_epochs=n)

    def learning_rate(self, lr: float) -> Self:
        """Set the learning rate at the start."""
        return self._choose(learning_rate=lr)

    def input_scale(self, s: float) -> Self:
        """Set the factor by which images, and crops, are resized before the network."""
        return self._choose(input_scale=s)

    def output_stride(self, n: int) -> Self:
        """Set the input px per cell of the confidence maps; coarser maps have twice as many."""
        return self._choose(output_stride=n)

    def sigma(self, px: float) -> Self:
        """Set the spread of a peak, in cells of the confidence map."""
        return self._choose(sigma=px)

    def rotation(self, min_deg: float, max_deg: float) -> Self:
        """Set the smallest and largest rotation of training images in degrees."""
        return self._choose(rotation=(min_deg, max_deg))

    def scale_augmentation(self, min: float, max: float) -> Self:
        """Set the smallest and largest zoom of training images."""
        return self._choose(scale_augmentation=(min, max))

    def augmentation(self, enabled: bool) -> Self:
        """Set whether training images are changed at random."""
        return self._choose(augmentation=enabled)

    def early_stopping(self, enabled: bool = True, patience: int = 10) -> Self:
        """Set whether, and after how many validations without progress, training ends early."""
        return self._choose(early_stopping=(enabled, patience))

    def crop_size(self, px: int) -> Self:
        """Set the side of crops about an animal, for top-down pipelines; by default it is computed from the labels."""
        return self._choose(crop_size=px)

    def anchor_part(self, name: str) -> Self:
        """Set the node that stands for an animal, for centroids and the crops about them.

        Raises:
            ConfigError: The skeleton has no such node.
        """
        check_choice("node", name, self._stats.node_names)
        return self._choose(anchor_part=name)

    def validation_fraction(self, f: float) -> Self:
        """Set the share of the labelled frames that validate."""
        return self._choose(validation_fraction=f)

    def recommend(self, view: str | None = None) -> ConfigRecommendation:
        """Return what is recommended for the labels, whatever is set.

        Args:
            view: ``side`` or ``top``; None: that of `auto`.

        Raises:
            ConfigError: There is no such view.
        """
        return recommend_config(self._stats, self._choices.view if view is None else view)

    def build(self) -> DictConfig:
        """Return the configuration; of a pair, that of the model that reads crops, see `build_centroid` for the other.

        Raises:
            ConfigError: A value is out of range, or of no use for the pipeline.
        """
        *before, last = self.model_types
        if before:
            logger.info(
                "This is the %s configuration of the %s pipeline; that of its centroid model is build_centroid().",
                last,
                self._pipeline,
            )
        return self._job(last).to_sleap_nn_cfg()

    def build_centroid(self) -> DictConfig:
        """Return the configuration of the model that finds animals.

        Raises:
            ConfigError: The pipeline has none, or a value is out of range.
        """
        return self._job(self._stage("centroid")).to_sleap_nn_cfg()

    def build_centered_instance(self) -> DictConfig:
        """Return the configuration of the model that reads crops, be it one that also learns identities.

        Raises:
            ConfigError: The pipeline has none, or a value is out of range.
        """
        return self._job(self._stage("centered_instance")).to_sleap_nn_cfg()

    def to_yaml(self) -> str:
        """Return the text that `save` writes; the two of a pair follow each other under a comment line.

        Raises:
            ConfigError: As for `build`.
        """
        texts = [self._job(model_type).to_yaml() for model_type in self.model_types]
        if len(texts) == 1:
            return texts[0]
        titled = zip(TITLES.values(), texts, strict=True)
        return "\n".join(f"# === {title} CONFIG ===\n{text}" for title, text in titled)

    def paths(self, path: str | Path) -> tuple[Path, ...]:
        """Return what `save` writes: one file, or ``<stem>_centroid.yaml`` and ``<stem>_centered_instance.yaml``."""
        path = Path(path)
        if len(self.model_types) == 1:
            return (path,)
        return tuple(path.with_name(f"{path.stem}_{name}.yaml") for name in TITLES)

    def save(self, path: str | Path) -> Self:
        """Write the configuration; that of a pair as two files, see `paths`.

        Raises:
            ConfigError: As for `build`; nothing is written then.
            InputOverwrittenError: The file is that of the labels.
            OutputError: A file cannot be written.
        """
        paths = self.paths(path)
        if self._labels_path is not None and Path(self._labels_path).resolve() in [one.resolve() for one in paths]:
            raise InputOverwrittenError(f"The configuration would overwrite the labels {path}; choose another file.")
        jobs = [self._job(model_type) for model_type in self.model_types]
        for job, target in zip(jobs, paths, strict=True):
            job.save(target)
        return self

    def memory_estimate(self) -> MemoryEstimate:
        """Return what a training step takes on a GPU; of a pair, whose models train one after the other, the larger.

        Raises:
            ConfigError: As for `build`.
        """
        needs = [estimate_memory(self._stats, self._job(model_type)) for model_type in self.model_types]
        return max(needs, key=lambda need: need.total_gpu_gb)

    def summary(self) -> str:
        """Return what is known of the labels, what is recommended and why, and what training takes.

        Raises:
            ConfigError: As for `build`.
        """
        advice, need = self.recommend(), self.memory_estimate()
        chosen = "as set" if self._choices.pipeline is not None else advice.pipeline.reason
        network = "as set" if self._choices.backbone is not None else advice.backbone_reason
        lines = [
            *self._stats.lines(),
            ("Pipeline", f"{self._pipeline}: {chosen}"),
            ("Backbone", f"{self._choices.backbone or advice.backbone}: {network}"),
            ("View", f"{advice.view}: {advice.view_reason}"),
            *((f"Model {model_type}", self._values(model_type)) for model_type in self.model_types),
            ("Memory", str(need)),
        ]
        width = max(len(heading) for heading, _ in lines)
        return "\n".join(f"{heading:{width}}  {text}" for heading, text in lines)

    @property
    def _pipeline(self) -> str:
        return self._choices.pipeline or self.recommend().pipeline.recommended

    def _choose(self, **values: Any) -> Self:
        self._choices = replace(self._choices, **values)
        return self

    def _stage(self, name: str) -> str:
        """Return the model type that finds animals, or that which reads crops.

        Raises:
            ConfigError: The pipeline has none.
        """
        for model_type in self.model_types:
            if model_type == name or (name != "centroid" and TASKS[model_type].view == "crop"):
                return model_type
        raise ConfigError(
            f"The {self._pipeline} pipeline has no {name} model; build() returns its configuration, or choose the "
            "topdown pipeline."
        )

    def _job(self, model_type: str) -> TrainingJobConfig:
        """Return the configuration of one model.

        Raises:
            ConfigError: A value is out of range, or of no use for the pipeline.
        """
        self._check_used()
        advice = self.recommend()
        reason = "" if self._choices.pipeline is not None else f", as {advice.pipeline.reason}"
        description = f"Made by sleap-nn config for the {self._pipeline} pipeline{reason}."
        return assemble(model_type, self._choices, advice, self._labels_path, description)

    def _check_used(self) -> None:
        """Refuse values that the pipeline has no use for.

        Raises:
            ConfigError: The message names the value.
        """
        types = self.model_types
        if self._choices.crop_size is not None and all(TASKS[one].view == "frame" for one in types):
            raise ConfigError(
                f"crop_size is {self._choices.crop_size}, but a {self._pipeline} pipeline reads whole frames; leave it "
                "out, or choose topdown."
            )
        if self._choices.anchor_part is not None and "centroid" not in types:
            raise ConfigError(
                f"anchor_part is {self._choices.anchor_part!r}, but a {self._pipeline} pipeline has no centroids; "
                "leave it out, or choose topdown."
            )

    def _values(self, model_type: str) -> str:
        """Return the chosen or recommended values of one model in words."""
        job = self._job(model_type)
        data, trainer = job.data_config, job.trainer_config
        maps = job.model_config.head_configs.which_oneof().confmaps
        geometric = data.augmentation_config.geometric if data.augmentation_config else None
        turned = f"rotation {geometric.rotation_min:g} to {geometric.rotation_max:g} degrees" if geometric else ""
        return (
            f"scale {data.preprocessing.scale:g}, sigma {maps.sigma:g}, output stride {maps.output_stride}, batches of "
            f"{trainer.train_data_loader.batch_size}, {turned if data.use_augmentations_train else 'no augmentation'}"
        )
