import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from factories import make_labels
from sleap_io.model.video import Video

from sleap_nn.cli import cli
from sleap_nn.config.model_config import HeadConfig
from sleap_nn.errors import ConfigError, InputOverwrittenError, MissingFileError, OutputError
from sleap_nn.preview import draw_labels, draw_target, preview, sample_sheet
from sleap_nn.structures.sample import Batch, FrameKey, Mixed, Sample
from sleap_nn.structures.skeleton import Skeleton
from sleap_nn.structures.transform import Transform
from sleap_nn.tasks import TASKS, Task
from sleap_nn.viz import PALETTE, save_png, upscale

SKELETON = Skeleton(("head", "body", "tail"), edges=((0, 1), (1, 2)))
CLASSES = ["ann", "bob"]
POSES = np.array([[[12, 40], [30, 40], [48, 40]], [[70, 10], [70, 30], [np.nan, np.nan]]], np.float32)
HEADS: dict[str, Any] = {
    "single_instance": {"confmaps": {"sigma": 1.5, "output_stride": 2}},
    "centroid": {"confmaps": {"sigma": 1.5, "output_stride": 2}},
    "centered_instance": {"confmaps": {"sigma": 1.5, "output_stride": 2}},
    "bottomup": {"confmaps": {"sigma": 1.5, "output_stride": 2}, "pafs": {"sigma": 10, "output_stride": 4}},
    "multi_class_bottomup": {
        "confmaps": {"sigma": 1.5, "output_stride": 2},
        "class_maps": {"sigma": 2, "output_stride": 4, "classes": CLASSES},
    },
    "multi_class_topdown": {
        "confmaps": {"sigma": 1.5, "output_stride": 2},
        "class_vectors": {"classes": CLASSES},
    },
}


def make_task(name: str) -> Task:
    return TASKS[name].from_config(HeadConfig(**{name: HEADS[name]}).which_oneof(), SKELETON)


def make_sample(points: np.ndarray = POSES, class_ids: tuple[int, ...] = (1, 0), **fields: Any) -> Sample:
    return Sample(
        key=FrameKey(0, 7),
        image=np.full((1, 64, 96), 100, np.uint8),
        points=points,
        anchors=points[:, 1],
        class_ids=np.array(class_ids),
        transform=Transform(np.eye(2, 3)),
        **fields,
    )


def changed(drawn: np.ndarray, upscaling: int = 1) -> np.ndarray:
    """Return which pixels are not the grey of the input."""
    return (drawn != 100).any(axis=2)


@pytest.mark.parametrize(
    ("name", "head_name", "upscaling"),
    [
        ("single_instance", "confmaps", 1),
        ("centroid", "confmaps", 3),
        ("bottomup", "pafs", 1),
        ("bottomup", "pafs", 2),
        ("multi_class_bottomup", "class_maps", 2),
    ],
)
def test_targets_are_painted_where_the_points_are(name: str, head_name: str, upscaling: int) -> None:
    task, batch = make_task(name), Batch.stack([make_sample()])
    head = next(head for head in task.heads if head.name == head_name)
    image = batch.image[0].permute(1, 2, 0).numpy()
    drawn = draw_target(task, head, image, task.encode(batch)[head_name][0].numpy(), upscaling)
    assert drawn.shape == (64 * upscaling, 96 * upscaling, 3)
    marks = changed(drawn)
    for x, y in [(30, 40), (70, 30)]:
        assert marks[round(y * upscaling + (upscaling - 1) / 2), round(x * upscaling + (upscaling - 1) / 2)]
    far = marks[-8 * upscaling :, -20 * upscaling :]
    assert not far.any()
    assert (image == 100).all()


@pytest.mark.parametrize("name", sorted(HEADS))
def test_every_task_has_a_panel_for_each_head(name: str) -> None:
    task, batch = make_task(name), Batch.stack([make_sample(), make_sample()])
    sheet = sample_sheet(task, batch, task.encode(batch))
    width = 4 * 96  # enlarged to at least 320 px
    columns = 1 + len(task.heads)
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] >= 4 * 64
    assert sheet.shape[1] >= columns * width
    plain = sample_sheet(task, Batch.stack([make_sample(np.full_like(POSES, np.nan))] * 2), task.encode(batch))
    assert plain.shape == sheet.shape
    panel = (slice(12, 12 + 4 * 64), slice(12, 12 + width))
    assert (plain[panel] == 100).all()
    assert (sheet[panel] != 100).any()


def test_class_vectors_are_written_as_names() -> None:
    task = make_task("multi_class_topdown")
    vectors = task.heads[1]
    image = np.full((64, 96, 1), 100, np.uint8)
    vectors_of = {"ann": [1, 0], "bob": [0, 1], "none": [0, 0], "both": [0.7, 0.3]}
    drawn = {key: draw_target(task, vectors, image, np.array(value), 2) for key, value in vectors_of.items()}
    assert {tuple(picture.shape) for picture in drawn.values()} == {(128, 192, 3)}
    written = {key: changed(picture) for key, picture in drawn.items()}
    assert all(mask[:40].sum() > 100 for mask in written.values())
    assert not any(mask[60:].any() for mask in written.values())
    assert (drawn["ann"] == PALETTE[0]).all(axis=2).any()
    assert (drawn["bob"] == PALETTE[1]).all(axis=2).any()
    assert not (drawn["ann"] == PALETTE[1]).all(axis=2).any()
    assert written["both"][24:40].any()


def test_instances_have_the_colours_of_their_classes() -> None:
    batch = Batch.stack([make_sample(class_ids=(1, -1))])
    by_class = draw_labels(make_task("multi_class_bottomup"), batch, 0, 4)
    by_instance = draw_labels(make_task("bottomup"), batch, 0, 4)
    at = [(40 * 4 + 1, 30 * 4 + 1), (30 * 4 + 1, 70 * 4 + 1)]
    assert [tuple(by_class[place]) for place in at] == [PALETTE[1], (190, 190, 190)]
    assert [tuple(by_instance[place]) for place in at] == [PALETTE[0], PALETTE[1]]


def test_anchors_are_rings_where_they_are_the_target() -> None:
    batch = Batch.stack([make_sample()])
    white = (255, 255, 255)
    rings = (draw_labels(make_task("centroid"), batch, 0, 4) == white).all(axis=2)
    assert rings[40 * 4 - 8 : 40 * 4 + 10, 30 * 4 - 8 : 30 * 4 + 10].any()
    assert not (draw_labels(make_task("bottomup"), batch, 0, 4) == white).all(axis=2).any()


def test_a_mixed_sample_shows_both_and_both_targets() -> None:
    task = make_task("bottomup")
    second = make_sample(POSES + np.array([20, 15], np.float32))
    batch = Batch.stack([make_sample(mixed=Mixed(second, 0.4)), make_sample()])
    mixed, pure = (changed(draw_labels(task, batch, index, 3)) for index in (0, 1))
    assert mixed[55 * 3 + 1, 40 * 3 + 1]
    assert not pure[55 * 3 + 1, 40 * 3 + 1]
    targets = task.encode(batch)
    sheet = sample_sheet(task, batch, targets)
    assert (sheet[:282] != sheet[-282:]).any()


def test_large_inputs_are_shown_smaller() -> None:
    task = make_task("single_instance")
    sample = make_sample()
    large = Batch.stack([dataclasses.replace(sample, image=np.full((1, 700, 1500), 90, np.uint8))])
    sheet = sample_sheet(task, large, task.encode(large))
    assert 234 <= sheet.shape[0] <= 300
    assert 1000 <= sheet.shape[1] <= 1060


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preview")
    make_labels(4, path=folder / "labels.pkg.slp")
    path = folder / "config.yaml"
    path.write_text(
        f"data_config: {{train_labels_path: ['{folder / 'labels.pkg.slp'}'], use_same_data_for_val: true}}\n"
        "model_config:\n"
        "  backbone_config: {unet: {filters: 4, max_stride: 8}}\n"
        "  head_configs: {single_instance: {confmaps: {sigma: 1.5, output_stride: 2}}}\n"
        "trainer_config: {seed: 3, trainer_accelerator: cpu}\n"
    )
    return path


def read_png(path: Path) -> np.ndarray:
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def test_a_preview_draws_what_the_trainer_would_read(config: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    written = [preview(config, tmp_path / f"{i}.png", num_samples=2, val=i == 2) for i in range(3)]
    assert written == [tmp_path / f"{i}.png" for i in range(3)]
    first, again, unaugmented = (read_png(path) for path in written)
    assert np.array_equal(first, again)
    assert first.shape == unaugmented.shape
    assert not np.array_equal(first, unaugmented)
    assert len(list(config.parent.iterdir())) == 2


def test_more_samples_than_frames_can_be_drawn(config: Path, tmp_path: Path) -> None:
    few, many = (read_png(preview(config, tmp_path / f"{count}.png", count)) for count in (3, 9))
    assert many.shape[0] == pytest.approx(3 * few.shape[0], rel=0.1)


def test_videos_that_have_moved(config: Path, tmp_path: Path) -> None:
    make_labels(4, path=tmp_path / "old" / "labels.slp", embed=False)
    (tmp_path / "new").mkdir()
    (tmp_path / "old" / "clip0.mp4").rename(tmp_path / "new" / "clip0.mp4")
    labels = f"data_config.train_labels_path=[{tmp_path / 'old' / 'labels.slp'}]"
    args = (config, labels, "-o", tmp_path / "a.png", "-n", "1")
    refused = run(*args)
    assert refused.exit_code == 1
    assert "does not exist here; put it there, say where it is now (--prefix-map" in refused.stderr
    result = run(*args, "--prefix-map", tmp_path / "old", tmp_path / "new")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "a.png").exists()


def test_movements_that_never_take_place_are_named(config: Path, tmp_path: Path) -> None:
    shift = "data_config.augmentation_config.geometric.translate_width=0.2"
    args = (config, "-o", tmp_path / "a.png", "-n", "1", shift)
    assert "Images are not shifted" in run(*args).output
    moved = run(*args, "data_config.augmentation_config.geometric.translate_p=1.0")
    assert moved.exit_code == 0
    assert "Images are not shifted" not in moved.output


def test_what_cannot_be_drawn(config: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="num_samples is 0; a preview needs at least 1"):
        preview(config, tmp_path / "a.png", num_samples=0)
    with pytest.raises(OutputError, match="cannot be written"):
        preview(config, config / "a.png", num_samples=1)
    with pytest.raises(MissingFileError):
        preview(tmp_path / "none.yaml", tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, ["preview", *(str(arg) for arg in args)], prog_name="sleap-nn")


def test_the_command_takes_overrides_and_options(config: Path, tmp_path: Path) -> None:
    half = "data_config.preprocessing.scale=0.5"
    result = run(config, half, "-o", tmp_path / "a.png", "-n", 1, "data_config.use_augmentations_train=false")
    assert (result.exit_code, result.stdout) == (0, f"Preview: {tmp_path / 'a.png'}\n"), result.stderr
    as_validation = run(
        "-c", "config", "-d", config.parent, half, "--val", "-n", 1, "--output-path", tmp_path / "b.png"
    )
    assert as_validation.exit_code == 0, as_validation.output
    assert read_png(tmp_path / "a.png").shape == read_png(tmp_path / "b.png").shape
    blur = "data_config.augmentation_config={intensity: {defocus_p: 1}, geometric: {mixup_p: 1}}"
    assert run(config, half, blur, "-n", 1, "-o", tmp_path / "c.png").exit_code == 0
    assert not np.array_equal(read_png(tmp_path / "c.png"), read_png(tmp_path / "a.png"))


@pytest.mark.parametrize(
    ("args", "exit_code", "message"),
    [
        (["none.yaml"], 1, "none.yaml"),
        (["{config}", "data_config.augmentation_config.intensity.blur_p=1"], 1, "blur_p"),
        (["{config}", "data_config.augmentation_config.intensity.motion_blur_p=2"], 1, "motion_blur_p"),
        (["{config}", "data_config.train_labels_path=[none.slp]"], 1, "none.slp"),
        (["{config}", "-o", "{config}/a.png", "-n", "1"], 1, "/a.png cannot be written"),
        (["{config}", "-o", "{config}"], 2, "does not end in .png; name it config.png"),
        (["{config}", "nonsense"], 2, "'nonsense' is no override"),
        (["{config}", "-n", "0"], 2, "0 is not in the range"),
    ],
)
def test_the_command_refuses_in_one_sentence(config: Path, args: list[str], exit_code: int, message: str) -> None:
    result = run(*(arg.format(config=config) for arg in args))
    assert result.exit_code == exit_code
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert message in last
    assert exit_code == 2 or result.stderr.count("\n") == 1


def test_without_a_configuration_help_is_printed() -> None:
    result = run()
    assert result.exit_code == 0
    assert "Usage: sleap-nn preview" in result.output
    assert "--num_samples" in result.output


def test_the_input_is_shown_as_it_is() -> None:
    batch = Batch.stack([make_sample(np.full_like(POSES, np.nan))])
    drawn = draw_labels(make_task("single_instance"), batch, 0, 2)
    assert np.array_equal(drawn, upscale(np.full((64, 96), 100, np.uint8), 2))


def test_an_image_that_is_read_is_no_output(tmp_path: Path) -> None:
    images = [tmp_path / f"{i}.png" for i in range(2)]
    for image in images:
        save_png(image, np.full((32, 32, 3), 90, np.uint8))
    labels = make_labels(1, height=32, width=32)
    labels.replace_videos(labels.videos, [Video.from_filename([str(image) for image in images])])
    before = images[1].read_bytes()
    config = {
        "data_config": {"use_same_data_for_val": True},
        "model_config": {
            "backbone_config": {"unet": {"filters": 4, "max_stride": 8}},
            "head_configs": {"single_instance": {"confmaps": {"sigma": 1.5, "output_stride": 2}}},
        },
        "trainer_config": {"trainer_accelerator": "cpu"},
    }
    with pytest.raises(InputOverwrittenError, match="a file that is read"):
        preview(config, images[1], train_labels=[labels])
    assert images[1].read_bytes() == before
