"""Prediction into a file: frames go to a journal while they are made, and from there to the ``.slp``.

Whatever ends a run early, the journal keeps what was done, and the next run goes on from there. The journal holds what
the stages and filters give; tracking, which must see all frames in order, happens on the way from the journal to the
output. So the result is the same whether a run was interrupted or not, and memory does not grow with the video.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from sleap_nn.data.labels import Labels
from sleap_nn.errors import ConfigError, DataError, OutputError
from sleap_nn.heartbeat import phase
from sleap_nn.inference import manifest
from sleap_nn.inference.chain import check_formats
from sleap_nn.inference.earlier_run import finished_output, journal_left, prediction_facts, writing_facts
from sleap_nn.inference.journal import SUFFIX, Contents, JournalWriter, read_chunks, read_contents
from sleap_nn.inference.output import Output
from sleap_nn.inference.provenance import RunTimes
from sleap_nn.inference.slp_writer import Written, write_slp
from sleap_nn.log import logger
from sleap_nn.stages.stream import DoneFrames, Failure, Progress
from sleap_nn.structures.predictions import Predictions

if TYPE_CHECKING:
    from sleap_nn.inference.predictor import Predictor
    from sleap_nn.inference.select import Selection

_WRITE_INTERVAL = 500
_WRITE_SECONDS = 5.0
"""Time after which frames are written although there are fewer of them."""


class WriteKeywords(TypedDict, total=False):
    """How an output is written while frames are predicted.

    Attributes:
        write_interval: Frames that a crash can cost at most; None: 500.
        resume: Go on with the journal that an interrupted run has left beside the output.
    """

    write_interval: int | None
    resume: bool


@dataclass(frozen=True)
class Writing:
    """How a file is written.

    Attributes:
        write_interval: Frames of a chunk of the journal, which a crash can cost at most.
        resume: Go on with the journal of an interrupted run.
        keep_empty: Keep frames in which nothing was found.
        cli_args: Options of a command line, for the provenance; that a run went on is none of them.
    """

    write_interval: int = _WRITE_INTERVAL
    resume: bool = False
    keep_empty: bool = True
    cli_args: Mapping[str, Any] | None = None

    @classmethod
    def from_keywords(
        cls,
        write_interval: int | None = None,
        resume: bool = False,
        keep_empty: bool = True,
        cli_args: Mapping[str, Any] | None = None,
    ) -> Writing:
        """Return what keywords of prediction ask for; arguments as the attributes, None for the default.

        Raises:
            ConfigError: A value is out of range.
        """
        if write_interval is not None and write_interval < 1:
            raise ConfigError(f"write_interval is {write_interval}; it must be at least 1.")
        given = None if cli_args is None else {name: value for name, value in cli_args.items() if name != "resume"}
        return cls(_WRITE_INTERVAL if write_interval is None else write_interval, resume, keep_empty, given)


@dataclass(frozen=True)
class FileSummary:
    """What a prediction has written.

    Attributes:
        path: The output.
        files: All files, those of other formats included.
        num_frames: Frames in them.
        num_instances: Instances in them, or centroids where they are all that is stored.
        num_requested: Frames that were asked for.
        failures: Those that could not be read.
        labels: What is in the files, where it had to be in memory anyway.
    """

    path: Path
    files: tuple[Path, ...]
    num_frames: int
    num_instances: int
    num_requested: int
    failures: tuple[Failure, ...] = field(default=(), repr=False)
    labels: Labels | None = field(default=None, repr=False)

    def raise_for_missing(self, labels: Labels | None = None) -> None:
        """Raise if frames are missing.

        Args:
            labels: What was found on the others.

        Raises:
            MissingFramesError: It names the first of them, and where all are listed.
        """
        if self.failures:
            where = f"All are listed in {self.path}{manifest.SUFFIX}."
            sentence = manifest.failure_sentence(self.failures, self.num_requested, where)
            raise manifest.MissingFramesError(sentence, self.failures, labels)


def predict_into_file(
    predictor: Predictor,
    selection: Selection,
    output: Output,
    writing: Writing,
    progress: Progress | None = None,
    tracking_progress: Progress | None = None,
) -> FileSummary:
    """Predict and write the output, a manifest beside it, and until both are whole a journal.

    Args:
        predictor: What predicts.
        selection: The frames.
        output: What is written; it has been checked.
        writing: How it is written.
        progress: Called with (frames done, frames in all) after each batch.
        tracking_progress: The same, after each tracked frame.

    Raises:
        OutputError: Something cannot be written, or there is a journal that does not fit or is damaged.
        DataError: A journal that says that all frames are done does not hold them all.
        UsageError: A format cannot hold what is predicted.
    """
    check_formats(output.formats, predictor.centroids())
    journal = output.path.with_name(output.path.name + SUFFIX)
    facts = prediction_facts(predictor, selection, datetime.now())
    written_as = writing_facts(predictor, selection, output, writing.keep_empty)
    if writing.resume and "slp" in output.formats and not journal.exists():
        found = finished_output(output.path, facts["decides"], written_as)
        if found is not None:
            logger.info("%s is finished already; leave --resume out to predict it anew.", output.path)
            return _summary(output, found, progress)
    before = journal_left(journal, facts, writing.resume)
    with JournalWriter(journal, facts if before is None else None) as writer:
        if before is None or before.end is None:
            _predict(predictor, selection, writer, writing, progress)
            writer.end({"ended": datetime.now().isoformat(timespec="microseconds")})
        contents = read_contents(journal)
        assert contents is not None
        if progress is not None:
            progress(contents.num_frames, contents.num_frames)
        completed = partial(predictor.completed, selection=selection, progress=tracking_progress)
        summary = _finish(predictor, selection, output, journal, contents, writing, written_as, completed)
        writer.remove()
    return summary


def _summary(output: Output, found: Mapping[str, Any], progress: Progress | None) -> FileSummary:
    """Return what a manifest says of an output that is finished already."""
    frames = found["frames"]
    if progress is not None:
        progress(frames["requested"], frames["requested"])
    return FileSummary(
        path=output.path,
        files=tuple(output.path.with_name(name) for name in found["outputs"]),
        num_frames=found["frames_written"],
        num_instances=found["instances"],
        num_requested=frames["requested"],
        failures=manifest.failures_of(found["failures"]),
    )


def _predict(
    predictor: Predictor,
    selection: Selection,
    writer: JournalWriter,
    writing: Writing,
    progress: Progress | None,
) -> None:
    """Append the frames that a journal does not hold yet; whatever stops it, what is done is appended.

    Raises:
        OutputError: The journal cannot be written.
    """
    start, total = writer.num_frames, len(selection.frames)
    done = start
    first, waiting = start, list[DoneFrames]()
    last = time.monotonic()

    def write() -> None:
        nonlocal first, last
        now = time.monotonic()
        if writer.num_frames == first:  # else an interrupt has come when it was just written
            writer.append(waiting, now - last)
        waiting.clear()
        first, last = writer.num_frames, now

    try:
        for batch in predictor.batches(selection, start):
            waiting.append(batch)
            done += len(batch)
            if sum(map(len, waiting)) >= writing.write_interval or time.monotonic() - last >= _WRITE_SECONDS:
                write()
            if progress is not None:
                progress(done, total)
    except OutputError:
        waiting.clear()  # once is enough to find out that nothing can be written
        raise
    except KeyboardInterrupt:
        write()
        logger.warning(
            "Stopped after %d of %d frames, which are safe; give the same command with --resume to go on.", done, total
        )
        raise
    finally:
        write()


def _finish(  # noqa: PLR0913 - what is written, of what, and how
    predictor: Predictor,
    selection: Selection,
    output: Output,
    journal: Path,
    contents: Contents,
    writing: Writing,
    written_as: Mapping[str, Any],
    completed: Callable[[Iterator[Predictions]], Iterator[Predictions]],
) -> FileSummary:
    """Write the output and the manifest from a journal that holds all frames.

    Raises:
        OutputError: They cannot be written; the journal stays.
        DataError: The journal does not give the frames that were asked for.
    """
    failures: list[Failure] = []
    assert contents.end is not None
    started, ended = (datetime.fromisoformat(text) for text in (contents.facts["started"], contents.end["ended"]))
    times = RunTimes(started, ended, contents.seconds)
    provenance = predictor.provenance(selection, times, writing.cli_args)
    found = completed(_predictions(journal, failures, contents.facts["requested"]))
    head = predictor.head(selection, provenance, output.restore_source_videos)
    labels: Labels | None = None
    try:
        with phase(f"writing {output.path.name}"):
            if head is not None and output.is_plain(selection):
                written, files = write_slp(output.path, found, head, writing.keep_empty), [output.path]
            else:
                labels = predictor.labels(found, selection, writing.keep_empty)
                labels.provenance |= provenance
                written, files = _counts(labels), output.write(labels, selection)
            path = output.path.with_name(output.path.name + manifest.SUFFIX)
            manifest.write_manifest(path, _manifest(files, contents, written, failures, written_as))
    except OutputError as error:
        raise OutputError(
            f"{error} All frames are safe in {journal}: make room, or leave out a format that cannot be written, then "
            "give the same command with --resume."
        ) from error
    return FileSummary(
        path=output.path,
        files=tuple(files),
        num_frames=written.num_frames,
        num_instances=written.num_instances,
        num_requested=contents.num_frames,
        failures=tuple(failures),
        labels=labels,
    )


def _counts(labels: Labels) -> Written:
    """Return what labels hold."""
    found = sum(max(len(frame.instances), len(frame.centroids)) for frame in labels.labeled_frames)
    return Written(len(labels.labeled_frames), found, len(labels.tracks))


def _predictions(journal: Path, failures: list[Failure], requested: int) -> Iterator[Predictions]:
    """Yield the predictions of a journal, and collect the failures.

    Raises:
        DataError: They are not as many as were requested, so that no output may say that all are in it.
    """
    count = 0
    for chunk in read_chunks(journal):
        count += len(chunk)
        failures.extend(chunk.failures)
        yield from chunk.predictions
    if count != requested:
        raise DataError(
            f"{journal} says that all is done, but gives {count} of {requested} frames; delete it and predict again."
        )


def _manifest(
    files: Sequence[Path],
    contents: Contents,
    written: Written,
    failures: Sequence[Failure],
    written_as: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what files were made from and what is in them."""
    facts = contents.facts
    return {
        "outputs": {path.name: manifest.file_hash(path) for path in files},
        "frames": {
            "requested": facts["requested"],
            "predicted": contents.num_frames - len(failures),
            "failed": len(failures),
        },
        "frames_written": written.num_frames,
        "instances": written.num_instances,
        "tracks": written.num_tracks,
        "failures": manifest.failure_entries(failures),
        "started": facts["started"],
        "ended": (contents.end or {})["ended"],
        "seconds": round(contents.seconds, 3),
        **{name: facts[name] for name in ("source", "model_paths", "batch_size")},
        "made_from": facts["decides"],
        "written_as": written_as,
    }
