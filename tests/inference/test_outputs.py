import numpy as np
import pytest
import torch

from sleap_nn.inference.outputs import Outputs, PreprocInfo


def outputs() -> Outputs:
    points = torch.arange(24.0).reshape(2, 2, 3, 2)
    points[1, 1] = torch.nan
    return Outputs(
        pred_keypoints=points,
        pred_peak_values=torch.ones((2, 2, 3)),
        pred_confmaps=torch.zeros((2, 3, 4, 4)),
        pred_paf_graph=(torch.zeros(1, 2), torch.zeros(1), torch.zeros(1, 2), torch.zeros(1)),
        preprocess_info=PreprocInfo(eff_scale=torch.ones(2, requires_grad=True)),
        frame_indices=torch.tensor([4, 9]),
        video_indices=torch.tensor([0, 1]),
    )


def test_sizes_and_text() -> None:
    own = outputs()
    assert (own.batch_size, own.n_instances, own.n_nodes) == (2, 2, 3)
    assert "pred_keypoints=(2, 2, 3, 2) torch.float32" in repr(own)
    assert "tensor" not in repr(own)
    empty = Outputs()
    assert (empty.batch_size, empty.n_instances, empty.n_nodes, empty.to_predictions()) == (0, 0, 0, [])
    with pytest.raises(AttributeError):
        own.anything = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_slim_outputs_have_no_maps_and_no_gradients() -> None:
    slim = outputs().slim()
    assert slim.pred_confmaps is None
    assert slim.pred_paf_graph is None
    assert slim.pred_keypoints is not None
    assert slim.preprocess_info is not None
    assert not slim.preprocess_info.eff_scale.requires_grad  # pyright: ignore[reportOptionalMemberAccess]


def test_arrays_by_name() -> None:
    arrays = outputs().numpy()
    assert {"pred_keypoints", "pred_confmaps", "pred_paf_graph", "preprocess_info"} <= arrays.keys()
    assert isinstance(arrays["pred_paf_graph"][0], np.ndarray)
    assert "pred_masks" not in arrays


def test_filled_slots_become_predictions() -> None:
    first, second = outputs().to_predictions()
    assert (first.key, second.key) == ((0, 4), (1, 9))
    assert (len(first), len(second)) == (2, 1)
    assert second.raw is not None
    assert second.raw.of_instances["slot"].tolist() == [0]


def test_outputs_go_to_a_device_with_all_their_parts() -> None:
    meta = outputs().to("meta")
    assert meta.pred_keypoints.device.type == "meta"  # pyright: ignore[reportOptionalMemberAccess]
    assert meta.pred_paf_graph[0].device.type == "meta"  # pyright: ignore[reportOptionalSubscript]
    assert meta.preprocess_info.eff_scale.device.type == "meta"  # pyright: ignore[reportOptionalMemberAccess]
