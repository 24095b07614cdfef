"""The progress bar over frames."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from sleap_nn.heartbeat import bar_shown


class _FramesPerSecond(ProgressColumn):
    """Frames per second over the last seconds."""

    def render(self, task: Task) -> Text:
        """Return the rate as text."""
        return Text("-- fps" if task.speed is None else f"{task.speed:.1f} fps")


class FramesBar:
    """A bar on standard error that `progress_callback` moves: call it with (frames done, frames in all)."""

    def __init__(self, description: str) -> None:
        """Name what is going on."""
        console = Console(stderr=True)
        self._is_seen = console.is_terminal
        self._seen = ExitStack()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _FramesPerSecond(),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=5.0,
            transient=True,
        )
        self._task = self._progress.add_task(description, total=None)
        self._tracking: TaskID | None = None

    @property
    def tasks(self) -> list[Task]:
        """The bars that are shown."""
        return self._progress.tasks

    def __enter__(self) -> FramesBar:
        """Show the bar."""
        self._progress.start()
        if self._is_seen:
            self._seen.enter_context(bar_shown())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self._progress.stop()
        self._seen.close()

    def __call__(self, done: int, total: int) -> None:
        """Move the bar; a total of -1 is unknown."""
        self._progress.update(self._task, completed=done, total=None if total < 0 else total)

    def tracked(self, done: int, total: int) -> None:
        """Move a second bar, which appears when tracking begins."""
        if self._tracking is None:
            self._tracking = self._progress.add_task("Tracking...", total=None)
        self._progress.update(self._tracking, completed=done, total=None if total < 0 else total)
