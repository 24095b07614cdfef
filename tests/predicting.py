"""Predictions in other processes, which import this module by name."""

import multiprocessing
import signal
import sys
import threading
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from forking import fork_server

from sleap_nn.cli import cli
from sleap_nn.inference import Predictor
from sleap_nn.stages import grouping_pool


def start(target: Any, *arguments: Any) -> BaseProcess:
    """Run in a process of its own, forked from one that has imported everything."""
    process = fork_server().Process(target=target, args=arguments)
    process.start()
    return process


def predict(model: Path, video: Path, *options: str) -> Result:
    """Give the command in this process."""
    return CliRunner().invoke(
        cli, ["predict", "-i", str(video), "-m", str(model), "-o", str(video.parent / "out.slp"), "-d", "cpu", *options]
    )


def command(model: Path, video: Path) -> None:
    """Give the command as a process that ends with its exit code; what it says is in said.txt.

    Ctrl+C acts as in a terminal, also where the tests were started in the background, which lets it be ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    result = predict(model, video, "--write-interval", "8")
    (video.parent / "said.txt").write_text(result.stderr + result.stdout + repr(result.exception))
    sys.exit(result.exit_code)


def slow_command(pause: float, model: Path, video: Path) -> None:
    """Give the command in a process that takes so many seconds longer for every frame."""
    from sleap_nn.data.sources import VideoFrames
    from sleap_nn.structures.sample import Frame, FrameKey

    read = VideoFrames.read

    def slowly(frames: VideoFrames, key: FrameKey) -> Frame:
        time.sleep(pause)
        return read(frames, key)

    VideoFrames.read = slowly
    command(model, video)


def command_with_small_files(limit: int, model: Path, video: Path) -> None:
    """Give the command in a process that cannot write files larger than a limit."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    command(model, video)


def into_file(model: Path, video: Path, output: Path) -> None:
    """Predict, or go on."""
    Predictor.from_model_paths(model).predict_to_file(video, output, write_interval=8, resume=True)


def own_a_worker(place: Path) -> None:
    """Start a process as a `GroupingPool` does, say in a file which it is, and wait."""
    worker = multiprocessing.get_context("fork").Process(target=_work)
    worker.start()
    place.with_suffix(".tmp").write_text(str(worker.pid))
    place.with_suffix(".tmp").rename(place)
    time.sleep(60)


def _work() -> None:
    """Do nothing, as long as there is somebody to do it for."""
    threading.Thread(target=grouping_pool._end_with_parent, daemon=True).start()
    time.sleep(60)
