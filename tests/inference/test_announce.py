from pathlib import Path

import numpy as np
from factories import make_labels, make_video
from model_folders import write_model

from sleap_nn.inference.announce import complete_line, starting_line
from sleap_nn.inference.predictor import Predictor
from sleap_nn.inference.select import select_frames


def test_the_line_about_models(tmp_path: Path) -> None:
    make_labels(4, num_animals=2, path=tmp_path / "labels.pkg.slp")
    run = write_model(tmp_path / "run", "bottomup", tmp_path / "labels.pkg.slp")
    predictor = Predictor.from_model_paths(run, batch_size=3, peak_threshold=0.4, max_instances=2)
    nodes = len(predictor.skeleton.node_names)
    assert predictor.log_line == (
        f"Loaded inference model | type=bottomup | backbone=unet | nodes={nodes} | device=cpu | batch_size=3 | "
        "peak_threshold=0.4 | max_instances=2 | integral_refinement=integral | paf_workers=0"
    )


def test_the_line_about_frames(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4", num_frames=4, height=48, width=64)
    selection = select_frames(tmp_path / "clip.mp4", [0, 2])
    line = starting_line(selection, tracking=True)
    assert line.startswith(f"Starting inference | source={tmp_path / 'clip.mp4'} | frames=2 | videos=1 | shape=48x64x")
    assert line.endswith("| tracking=on")
    assert "fps=unknown" not in line


def test_images_and_no_frames_at_all_have_a_line(tmp_path: Path) -> None:
    images = select_frames(np.zeros((2, 8, 8, 1), np.uint8))
    assert starting_line(images, tracking=False) == (
        "Starting inference | source=images | frames=2 | videos=1 | shape=unknown | fps=unknown | tracking=off"
    )
    make_video(tmp_path / "clip.mp4", num_frames=2)
    assert "frames=0 | videos=0 | shape=unknown" in starting_line(select_frames(tmp_path / "clip.mp4", [7]), False)


def test_the_line_about_the_end() -> None:
    assert complete_line(4, 6, 2.0, tracking=False) == (
        "Inference complete | frames=4 | instances=6 (1.50/frame) | elapsed=2.0s | throughput=2.0 fps | tracking=off"
    )
    assert "instances=0 (0.00/frame)" in complete_line(0, 0, 0.0, tracking=False)
