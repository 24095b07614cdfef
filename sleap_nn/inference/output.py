"""The files of a prediction: where they go, whether they may be written, and writing them whole or not at all."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from sleap_nn.config.inference_config import FORMATS, embed_name, format_names
from sleap_nn.data.label_formats import possible_paths, video_stem, write_format
from sleap_nn.data.labels import Labels, load_labels, write_labels
from sleap_nn.data.other_formats import is_labels
from sleap_nn.data.sources import Video, VideoFrames
from sleap_nn.errors import ConfigError, OutputError, UsageError
from sleap_nn.inference import journal, manifest
from sleap_nn.inference.select import Selection, video_at
from sleap_nn.log import logger
from sleap_nn.whole_files import check_output, whole_file

EMBED = ("false", "true", "auto")


class FormatKeywords(TypedDict, total=False):
    """What is written, in the words of `sleap_nn.predict`.

    Attributes:
        output_format: ``slp``, ``analysis_h5``, ``csv``, ``dlc``, ``coco``, ``nwb``, or several.
        embed: Store images in the file: ``true``, ``false``, or ``auto``, if the input stores them.
        restore_source_videos: Let the file name the videos that images of a package came from.
    """

    output_format: str | Sequence[str]
    embed: str | bool
    restore_source_videos: bool


@dataclass(frozen=True)
class Output:
    """What is written of a prediction.

    Attributes:
        path: The labels file; files of other formats lie beside it.
        formats: See `sleap_nn.config.inference_config.FORMATS`.
        embed: ``true`` stores images in the labels file, ``auto`` does where the input stores them.
        restore_source_videos: Let the labels file name the videos that its images once came from.
    """

    path: Path
    formats: tuple[str, ...] = ("slp",)
    embed: str = "false"
    restore_source_videos: bool = False

    @classmethod
    def from_keywords(
        cls,
        path: str | Path,
        output_format: str | Sequence[str] = ("slp",),
        embed: str | bool = "false",
        restore_source_videos: bool = False,
    ) -> Output:
        """Return the output that keywords of prediction ask for.

        Raises:
            ConfigError: A value is unknown.
        """
        names = format_names(output_format if isinstance(output_format, str) else list(output_format))
        formats = tuple(dict.fromkeys(str(name) for name in names)) if isinstance(names, list) else ()
        unknown = [name for name in formats if name not in FORMATS]
        if unknown or not formats:
            raise ConfigError(f"output_format is {output_format!r}; choose among {', '.join(FORMATS)}.")
        stored = str(embed_name(embed))
        if stored not in EMBED:
            raise ConfigError(f"embed is {embed!r}; choose {', '.join(EMBED)}.")
        return cls(Path(path), formats, stored, restore_source_videos)

    def check(self, selection: Selection, others: Sequence[Path] = ()) -> None:
        """Refuse what cannot be written, before anything slow starts.

        Args:
            selection: The frames.
            others: More files that must stay as they are, such as other inputs.

        Raises:
            OutputError: The message names the path.
            UsageError: Images in memory cannot be stored, or two files would have one name.
        """
        inputs = selection.image_files if selection.path is None else [*selection.image_files, selection.path]
        for path in self._possible_files(selection.videos):
            check_output(path, [*inputs, *others])
        for ending in (journal.SUFFIX, manifest.SUFFIX):
            check_output(self.path.with_name(self.path.name + ending), [*inputs, *others], "file")
        if "slp" in self.formats and self.path.suffix.lower() != ".slp":
            raise UsageError(
                f"The output {self.path} does not end in .slp; name it {self.path.with_suffix('.slp').name}, or choose "
                "another output format."
            )
        if self.embed == "true" and not selection.frames.on_disk:
            raise UsageError("embed stores images of video files, but the input is in memory; leave it at false.")

    def _possible_files(self, videos: Sequence[Video]) -> list[Path]:
        """Return all files that may be written, whichever videos turn out to have frames.

        Raises:
            UsageError: Two formats would write the same file.
        """
        writes: dict[Path, str] = {}
        for name in self.formats:
            for path in [self.path] if name == "slp" else sorted(possible_paths(videos, self.path, name)):
                if path in writes:
                    raise UsageError(f"{path} would be written as {writes[path]} and as {name}; choose another output.")
                writes[path] = name
        return list(writes) if "slp" in self.formats else [*writes, self.path]

    def is_plain(self, selection: Selection) -> bool:
        """Tell whether a labels file without images is all that is written."""
        embed = self.embed == "true" or (self.embed == "auto" and selection.has_stored_images)
        return self.formats == ("slp",) and not embed

    def write(self, labels: Labels, selection: Selection) -> list[Path]:
        """Write all formats and return the files, the labels file first.

        Raises:
            OutputError: A file cannot be written; an older one of its name is left as it was.
        """
        written = []
        labels.provenance["filename"] = self.path.as_posix()
        if "slp" in self.formats:
            embed = self.embed == "true" or (self.embed == "auto" and selection.has_stored_images)
            if embed and self.restore_source_videos:
                logger.warning("Images are stored in the output, so restore_source_videos has no effect.")
            save_labels(labels, self.path, embed, self.restore_source_videos)
            written.append(self.path)
        for name in self.formats:
            if name != "slp":
                written += write_format(labels, self.path, name)
        return written


def save_predictions(
    labels: Labels,
    output_path: str | Path,
    output_format: str | Sequence[str] = "slp",
    video_index: int | None = None,
    embed: str | bool = "false",
    restore_source_videos: bool = False,
) -> list[Path]:
    """Write labels as `predict` does.

    Args:
        labels: The predictions.
        output_path: The labels file; files of other formats lie beside it.
        output_format: See `FormatKeywords`, as for the next two.
        video_index: The one video of which other files than labels are written; None: all.
        embed: As above.
        restore_source_videos: As above.

    Returns:
        The files of other formats than labels.

    Raises:
        ConfigError: A value is unknown.
        OutputError: A file cannot be written.
    """
    output = Output.from_keywords(output_path, output_format, embed, restore_source_videos)
    selection = Selection(VideoFrames(labels.videos, []), None, labels)
    output.check(selection)
    written = replace(output, formats=("slp",)).write(labels, selection) if "slp" in output.formats else []
    others = replace(output, formats=tuple(name for name in output.formats if name != "slp"))
    chosen = labels if video_index is None else _of_video(labels, video_index)
    return [path for path in others.write(chosen, selection) if path not in written]


def save_analysis_h5_files(labels: Labels, slp_output_path: str | Path, video_index: int | None = None) -> list[Path]:
    """Write the analysis HDF5 of each video beside a labels file, and return the files; see `save_predictions`."""
    return save_predictions(labels, slp_output_path, "analysis_h5", video_index)


def _of_video(labels: Labels, index: int) -> Labels:
    """Return labels with the frames of one video only, which share everything with those given."""
    video = video_at(labels, index)
    kept = copy.copy(labels)
    kept.labeled_frames = [frame for frame in labels.labeled_frames if frame.video is video]
    kept.provenance = dict(labels.provenance)
    return kept


def default_output(source: str | Path, video_index: int | None = None, command: str = "predict") -> Path:
    """Return where predictions go if the user names no file.

    Args:
        source: Video or labels file.
        video_index: One video of a labels file, whose name then becomes part of the output's.
        command: ``predict`` or ``track``, whose outputs are named differently.

    Raises:
        MissingFileError: The labels file is not there.
        DataError: It is no labels file.
        ConfigError: It has no such video.
        UsageError: The source has no name.
    """
    source = Path(source)
    if source.name in ("", ".."):  # the folder in which one is, or another that has its name elsewhere
        source = source.resolve()
        if not source.name:
            raise UsageError(f"{source} is no video or labels file; name one.")
    if video_index is not None and is_labels(source):
        labels = load_labels(source, open_videos=False)
        stem = _stem_of(labels, video_index)
        return source.with_name(f"{source.stem}.{stem}.predictions.slp")
    if command == "track":
        return source.with_name(f"{source.stem}.predictions.slp")
    return source.with_name(f"{source.name}.slp")


def _stem_of(labels: Labels, index: int) -> str:
    """Return what the output of one video is called; the number tells those of one name apart."""
    video = video_at(labels, index)
    if not video.filename:
        return f"video_{index}"
    stem = video_stem(video)
    return stem if [video_stem(other) for other in labels.videos].count(stem) == 1 else f"{stem}_{index}"


def save_labels(labels: Labels, path: Path, embed: bool = False, restore_source_videos: bool = False) -> None:
    """Write a ``.slp`` under a temporary name and put it in place when it is whole.

    Args:
        labels: What is written; its provenance gets the file's name.
        path: Where.
        embed: Store the images of all its frames in it.
        restore_source_videos: Name the videos that images of a package once came from, instead of the package.

    Raises:
        OutputError: The file cannot be written; an older file of that name is left as it was.
    """
    labels.provenance["filename"] = path.as_posix()
    try:
        with whole_file(path) as partial:
            write_labels(labels, partial, embed, restore_source_videos)
    except OSError as error:
        raise OutputError(f"The predictions cannot be written to {path} ({error}); choose another path.") from error
