"""`IncrementalLabelsWriter`: raw results, as they come, into a labels file."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from sleap_nn.errors import ConfigError
from sleap_nn.inference.journal import JournalWriter, read_chunks
from sleap_nn.inference.label_form import LabelForm, Video
from sleap_nn.inference.output import save_labels
from sleap_nn.inference.outputs import Outputs
from sleap_nn.inference.to_labels import AnySkeleton
from sleap_nn.stages.stream import DoneFrames
from sleap_nn.whole_files import check_ending, check_output


class IncrementalLabelsWriter:
    """Writes raw results to a temporary file while they come, and to a labels file when it is closed.

    Attributes:
        path: The labels file.
        tmp_path: The temporary file, a journal; it goes when the labels file is whole.
        frame_count: Frames so far.
    """

    def __init__(  # noqa: PLR0913 - the documented signature
        self,
        path: str | Path,
        skeleton: AnySkeleton,
        videos: Sequence[Video] | None = None,
        write_interval: int = 500,
        provenance: Mapping[str, Any] | None = None,
        anchor_ind: int | None = None,
        collapse_skeleton: AnySkeleton | None = None,
        emit_centroid: str = "instance",
        source: str = "center_of_mass",
    ) -> None:
        """Begin a file.

        Args:
            path: The labels file; its folder is made.
            skeleton: See `Outputs.to_labels`, as for all without a word of their own.
            videos: As above.
            write_interval: Frames that are held in memory before they go to the temporary file.
            provenance: What the file says of its origin.
            anchor_ind: As above.
            collapse_skeleton: As above.
            emit_centroid: As above.
            source: As above.

        Raises:
            ConfigError: A value is out of range, or the file is no .slp.
            OutputError: The file cannot be written.
        """
        if write_interval < 1:
            raise ConfigError(f"write_interval is {write_interval}; it must be at least 1.")
        form = LabelForm(skeleton, anchor_ind, None, None, collapse_skeleton, emit_centroid, source)
        self.path = Path(path)
        self.tmp_path = self.path.with_name(f"{self.path.name}.tmp")
        self.frame_count = 0
        check_ending(self.path, (".slp",))
        check_output(self.path, [])
        self._form, self._videos = form, videos
        self._write_interval, self._provenance = write_interval, {} if provenance is None else dict(provenance)
        self._waiting: list[DoneFrames] = []
        self._has_keypoints, self._is_written = True, False
        self._journal: JournalWriter | None = JournalWriter(self.tmp_path, {})
        self._last = time.monotonic()

    def __enter__(self) -> IncrementalLabelsWriter:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write the file; after an error too, with what came before."""
        self.close()

    def write(self, outputs: Outputs) -> None:
        """Add a batch.

        Raises:
            ConfigError: The skeleton has other nodes.
            RuntimeError: The writer is closed.
            OutputError: The temporary file cannot be written.
        """
        if self._journal is None:
            raise RuntimeError(f"The writer of {self.path} is closed.")
        self._has_keypoints = outputs.pred_keypoints is not None
        frames = tuple(replace(found, raw=None) for found in outputs.to_predictions())
        self._form.check_nodes(frames, self._has_keypoints)
        self._waiting.append(DoneFrames(frames))
        self.frame_count += len(frames)
        if sum(map(len, self._waiting)) >= self._write_interval:
            self._flush(self._journal)

    def close(self) -> None:
        """Write the labels file; once it is written, another call does nothing.

        Raises:
            OutputError: It cannot be written; the temporary file stays, and another call tries again.
        """
        if self._journal is not None:
            self._flush(self._journal)
            self._journal.close()
            self._journal = None
        if self._is_written:
            return
        frames = [found for chunk in read_chunks(self.tmp_path) for found in chunk.predictions]
        labels = self._form.labels(frames, self._has_keypoints, self._videos)
        labels.provenance |= self._provenance
        save_labels(labels, self.path)
        self._is_written = True
        self.tmp_path.unlink()

    def _flush(self, journal: JournalWriter) -> None:
        """Append the frames in memory to the temporary file."""
        now = time.monotonic()
        journal.append(self._waiting, now - self._last)
        self._waiting, self._last = [], now
