"""`predict`: one call from a source and model folders to labels, in memory and on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from sleap_nn.data.labels import Labels, load_labels
from sleap_nn.heartbeat import Phase, phase
from sleap_nn.inference.predictor import MissingFramesError, Predictor
from sleap_nn.inference.select import Source, select_frames, video_at
from sleap_nn.inference.settings import DecodeKeywords
from sleap_nn.inference.to_labels import check_output, save_labels
from sleap_nn.stages.follow import RoiSettings
from sleap_nn.stages.stream import Progress


def predict(  # noqa: PLR0913 - the public verb lists every option
    source: Source,
    *,
    model_paths: Sequence[str | Path] | str | Path,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int = 4,
    preprocess_config: Mapping[str, Any] | None = None,
    frames: Sequence[int] | None = None,
    video_index: int | None = None,
    only_labeled_frames: bool = False,
    output_path: str | Path | None = None,
    clean_empty_frames: bool = False,
    queue_maxsize: int = 32,
    roi: RoiSettings | None = None,
    progress_callback: Progress | None = None,
    cli_args: Mapping[str, Any] | None = None,
    **decoding: Unpack[DecodeKeywords],
) -> Labels:
    """Predict the instances on a video, labels or images.

    Args:
        source: Path of a video or labels file, a Video, Labels, or images (H, W, C) uint8.
        model_paths: A run folder, or its ``best.ckpt`` or ``training_config.yaml``; two, in any order, for a
            centroid model and a model of crops.
        device: ``auto`` (cuda, else mps, else cpu), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto`` (bf16 where the hardware computes it, else 32), ``32``, ``bf16`` or ``16``.
        batch_size: Frames in one pass of the network.
        preprocess_config: Replaces ``max_height``, ``max_width``, ``scale`` or ``crop_size`` of training; None entries
            do not.
        frames: Frame indices of a video; positions in the list of frame entries of a labels file.
        video_index: One video of a labels file; `frames` are then its frame indices.
        only_labeled_frames: Frames with user instances only.
        output_path: Where the labels are saved as well.
        clean_empty_frames: Leave out frames in which nothing was found.
        queue_maxsize: Frames prepared ahead of the network at most.
        roi: Follow the animal of a single_instance model with a part of the frame; None reads whole frames.
        progress_callback: Called with (frames done, frames in all) after each batch.
        cli_args: Options of a command line, for the provenance.
        **decoding: How maps are read, see `sleap_nn.inference.settings.DecodeKeywords`.

    Returns:
        Labels with one frame for every processed frame, points in frame px.

    Raises:
        MissingFileError: The source or a model is not there.
        DataError: The source cannot be read; `MissingFramesError` if that holds for some frames only, after the
            others were saved.
        ModelError: A model cannot be used.
        ConfigError: An option is out of range.
        OutputError: The output cannot be written.
    """
    output = None if output_path is None else Path(output_path)
    with phase("reading the source"):
        selection = select_frames(source, frames, video_index, only_labeled_frames)
    if output is not None:
        check_output(output, selection.image_files)
    with phase("loading the model"):
        predictor = Predictor.from_model_paths(
            model_paths,
            device=device,
            batch_size=batch_size,
            precision=precision,
            preprocess_config=preprocess_config,
            queue_maxsize=queue_maxsize,
            roi=roi,
            **decoding,
        )
    try:
        with phase(_activity(source), len(selection.frames)) as step:
            labels = predictor.predict(
                selection, clean_empty_frames=clean_empty_frames, progress_callback=_counting(step, progress_callback)
            )
    except MissingFramesError as error:
        if output is not None:
            _save(error.labels, output, cli_args)
        raise
    if output is not None:
        _save(labels, output, cli_args)
    return labels


def default_output(source: str | Path, video_index: int | None = None) -> Path:
    """Return where predictions go if the user names no file.

    Args:
        source: Video or labels file.
        video_index: One video of a labels file, whose name then becomes part of the output's.

    Raises:
        MissingFileError: The labels file is not there.
        DataError: It is no labels file.
        ConfigError: It has no such video.
    """
    source = Path(source)
    if video_index is None or source.suffix != ".slp":
        return source.with_name(f"{source.name}.slp")
    video = video_at(load_labels(source), video_index)
    name = video.filename[0] if isinstance(video.filename, list) else video.filename
    stem = Path(name).stem if name else f"video_{video_index}"
    return source.with_name(f"{source.stem}.{stem}.predictions.slp")


def _activity(source: Source) -> str:
    """Return what is going on, for signs of life."""
    return f"predicting {Path(source).name}" if isinstance(source, str | Path) else "predicting"


def _counting(step: Phase, progress: Progress | None) -> Progress:
    """Return a callback that counts frames for signs of life, and passes them on."""

    def count(done: int, total: int) -> None:
        step.done = done
        if progress is not None:
            progress(done, total)

    return count


def _save(labels: Labels, output: Path, cli_args: Mapping[str, Any] | None) -> None:
    """Write labels, with the command line in their provenance."""
    if cli_args is not None:
        labels.provenance["cli_args"] = dict(cli_args)
    save_labels(labels, output)
