import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sleap_nn.training.callbacks.drawings import Drawing
from sleap_nn.training.callbacks.listeners import Event
from sleap_nn.training.callbacks.tensorboard import TensorBoardListener


def read(folder: Path) -> Any:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def scalars(events: Any, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_losses_of_batches_are_over_steps_and_all_else_over_epochs(tmp_path: Path) -> None:
    listener = TensorBoardListener(tmp_path / "tensorboard", "seed: 3")
    assert listener.open() is None
    listener.write(Event("train_begin"))
    for epoch in range(2):
        listener.write(Event("epoch_begin", epoch=epoch))
        for batch in range(2):
            step = 2 * epoch + batch + 1
            listener.write(Event("batch_end", epoch=epoch, batch=batch, step=step, values={"loss": 0.5 / step}))
        listener.write(Event("epoch_end", epoch=epoch, values={"val/loss": 0.25 * epoch, "train/loss": math.nan}))
    listener.write(Event("train_end", epoch=0, values={"val/loss": 0.0}))
    listener.write(Event("evaluated", values={"eval/val.0/mOKS": 0.75}))
    assert not listener.wants_stop(wait=True)
    listener.close(failed=False)
    listener.close(failed=False)
    events = read(tmp_path / "tensorboard")
    assert scalars(events, "loss") == [(1, 0.5), (2, 0.25), (3, np.float32(0.5 / 3)), (4, 0.125)]
    assert scalars(events, "val/loss") == [(0, 0.0), (1, 0.25)]
    assert scalars(events, "eval/val.0/mOKS") == [(1, 0.75)]
    assert set(events.Tags()["scalars"]) == {"loss", "val/loss", "eval/val.0/mOKS"}
    (text,) = events.Tensors("config/text_summary")
    assert b"seed: 3" in text.tensor_proto.string_val[0]


def test_an_epoch_is_on_disk_when_it_ends(tmp_path: Path) -> None:
    listener = TensorBoardListener(tmp_path, "")
    listener.open()
    listener.write(Event("epoch_end", epoch=0, values={"val/loss": 0.5}))
    assert scalars(read(tmp_path), "val/loss") == [(0, 0.5)]
    listener.close(failed=True)


def test_pictures_are_shown_as_they_are(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    points = np.zeros((0, 1, 2), np.float32)
    drawings = [
        Drawing(stage, kind, picture, picture, np.zeros((1, 2, 2)), points, points, points[..., 0], ("a",))
        for stage, kind in (("train", "predictions"), ("val", "pafs"))
    ]
    listener = TensorBoardListener(tmp_path, "")
    assert not listener.wants_drawings
    listener.open()
    listener.draw(4, drawings)
    listener.close(failed=False)
    events = read(tmp_path)
    assert set(events.Tags()["images"]) == {"viz/train/predictions", "viz/val/pafs"}
    (image,) = events.Images("viz/val/pafs")
    assert image.step == 4
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(image.encoded_image_string))), picture)


def test_one_that_was_never_opened_can_be_closed(tmp_path: Path) -> None:
    TensorBoardListener(tmp_path / "none", "").close(failed=True)
    assert not (tmp_path / "none").exists()
