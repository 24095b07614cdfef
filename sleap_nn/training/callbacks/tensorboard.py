"""`TensorBoardListener`: the same values as event files; the package tensorboard is an extra."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

from sleap_nn.training.callbacks.drawings import Drawing
from sleap_nn.training.callbacks.listeners import Event, Listener

FOLDER = "tensorboard"
"""Name of the folder in the run folder."""


class TensorBoardListener(Listener):
    """Writes batch losses over steps, everything else over epochs."""

    service: ClassVar[str] = "TensorBoard"

    def __init__(self, folder: Path, config_text: str) -> None:
        """Choose the folder, and the text of the configuration that is shown with the run."""
        self.wants_drawings = False
        self._folder = folder
        self._config_text = config_text
        self._writer: Any = None
        self._last_epoch = 0

    def open(self) -> None:
        """Start a file of events."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder))
        self._writer.add_text("config", f"```yaml\n{self._config_text}\n```")

    def write(self, event: Event) -> None:
        """Write the values of an event; nothing is written where a value is not known."""
        if event.kind == "batch_end":
            self._add(event, event.step)
        elif event.kind == "epoch_end":
            self._last_epoch = event.epoch or 0
            self._add(event, event.epoch)
            self._writer.flush()
        elif event.kind == "evaluated":
            self._add(event, self._last_epoch)

    def draw(self, epoch: int, drawings: list[Drawing]) -> None:
        """Write the rendered pictures."""
        for drawing in drawings:
            tag = f"viz/{drawing.stage}/{drawing.kind}"
            self._writer.add_image(tag, drawing.picture, epoch, dataformats="HWC")

    def wants_stop(self, wait: bool) -> bool:
        """Return False: a log stops no run."""
        return False

    def close(self, failed: bool) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _add(self, event: Event, step: int | None) -> None:
        """Write the values that are numbers."""
        for name, value in (event.values or {}).items():
            if math.isfinite(value):
                self._writer.add_scalar(name, value, step)
