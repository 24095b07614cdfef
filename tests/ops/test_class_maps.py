import json
from pathlib import Path

import torch

from sleap_nn.ops.class_maps import class_maps

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "class_maps.json").read_text())


def test_golden() -> None:
    expected = torch.tensor(GOLDEN["class_maps"])
    size = expected.shape[1] * GOLDEN["output_stride"], expected.shape[2] * GOLDEN["output_stride"]
    found = class_maps(
        torch.tensor([GOLDEN["instances"]]),
        torch.tensor([GOLDEN["class_inds"]]),
        GOLDEN["n_classes"],
        size,
        GOLDEN["sigma"],
        GOLDEN["output_stride"],
    )
    torch.testing.assert_close(found[0], expected, rtol=0, atol=2e-6)


def test_three_classes_are_not_permuted() -> None:
    points = torch.tensor([[[[4.0, 4.0]], [[20.0, 4.0]], [[36.0, 4.0]]]])
    found = class_maps(points, torch.tensor([[2, 0, 1]]), 3, (8, 48), 2.0, 2)
    assert (found[0, :, 2, [2, 10, 18]] > 0.9).tolist() == [
        [False, True, False],
        [False, False, True],
        [True, False, False],
    ]


def test_instances_without_class_or_points_draw_nothing() -> None:
    points = torch.tensor([[[[4.0, 4.0]], [[float("nan")] * 2]]])
    assert not class_maps(points, torch.tensor([[-1, 0]]), 2, (8, 8), 2.0, 2).any()
