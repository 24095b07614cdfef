import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from sleap_nn.config.model_config import UNetConfig
from sleap_nn.errors import ConfigError
from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.inference.runtime import TorchRuntime, passes_at_a_time, resolve_device
from sleap_nn.networks.network import PoseNetwork, initialise
from sleap_nn.networks.unet import UNet


@pytest.fixture
def network() -> PoseNetwork:
    torch.manual_seed(0)
    made = PoseNetwork(
        UNet(UNetConfig(filters=4, max_stride=8, output_stride=2, in_channels=3)),
        [ConfidenceMapsHead("SingleInstanceConfmapsHead", 5, 2)],
    )
    initialise(made, "xavier")
    return made


@pytest.fixture
def images() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 32, 48), dtype=np.uint8))


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [("32", torch.float32, 1e-5), ("bf16", torch.bfloat16, 0.05), ("16", torch.float16, 0.01)],
)
def test_every_precision_runs_and_gives_float32(
    network: PoseNetwork, images: Tensor, name: str, dtype: torch.dtype, tolerance: float
) -> None:
    with torch.no_grad():
        expected = copy.deepcopy(network)(images)["confmaps"]
    runtime = TorchRuntime(network, "cpu", name)
    seen = []
    network.backbone.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].dtype))
    output = runtime(images)["confmaps"]
    assert seen == [dtype]
    assert runtime.precision == name
    assert output.dtype == torch.float32
    assert output.shape == (2, 5, 16, 24)
    spread = float(expected.std())
    torch.testing.assert_close(output, expected, rtol=0, atol=tolerance * max(1.0, spread))


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "32")])
def test_auto_precision_is_what_the_hardware_computes(
    network: PoseNetwork, monkeypatch: pytest.MonkeyPatch, native: bool, precision: str
) -> None:
    monkeypatch.setattr("sleap_nn.inference.runtime.native_bfloat16", lambda device: native and device == "cpu")
    assert TorchRuntime(network).precision == precision


@pytest.mark.parametrize("name", ["bf16-mixed", "float32", "", "64"])
def test_an_unknown_precision_is_refused(network: PoseNetwork, name: str) -> None:
    with pytest.raises(ConfigError, match=r"precision .* is unknown; choose auto, 32, bf16, 16"):
        TorchRuntime(network, precision=name)


@pytest.mark.parametrize("name", ["abacus", "", "cpu:x", "meta:", "cuda:99"])
def test_a_device_that_is_not_here_is_refused(network: PoseNetwork, name: str) -> None:
    with pytest.raises(ConfigError, match=f"The device {name!r} cannot be used here"):
        TorchRuntime(network, name)


@pytest.mark.parametrize(
    ("cuda", "mps", "hidden", "device"),
    [
        (False, False, False, "cpu"),
        (True, True, False, "cuda"),
        (False, True, False, "mps"),
        (False, True, True, "cpu"),
    ],
)
def test_auto_is_the_quickest_device(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, hidden: bool, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setenv("SLEAP_NN_DISABLE_MPS", str(int(hidden)))
    assert resolve_device("auto") == torch.device(device)


def test_outputs_stay_on_the_device_and_keep_no_graph(network: PoseNetwork, images: Tensor) -> None:
    runtime = TorchRuntime(network, "cpu", "32")
    output = runtime(images)["confmaps"]
    assert output.device == runtime.device == torch.device("cpu")
    assert not output.requires_grad
    assert not network.training


def test_channels_last_changes_no_number(network: PoseNetwork, images: Tensor) -> None:
    plain = copy.deepcopy(network).eval()
    runtime = TorchRuntime(network, "cpu", "32")
    seen = []
    network.backbone.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    for given in (images, images.contiguous(memory_format=torch.channels_last), images[:, :, ::2, ::2]):
        with torch.no_grad():
            expected = plain(given.contiguous())["confmaps"]
        torch.testing.assert_close(runtime(given)["confmaps"], expected, rtol=1e-4, atol=1e-5)
    assert all(image.is_contiguous(memory_format=torch.channels_last) for image in seen)
    weight = next(p for p in network.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_the_images_are_left_alone(network: PoseNetwork, images: Tensor) -> None:
    before = images.clone()
    TorchRuntime(network, "cpu", "32")(images)
    assert torch.equal(images, before)
    assert images.is_contiguous()


def test_a_processor_runs_two_passes_at_a_time(network: PoseNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    runtime = TorchRuntime(network, "cpu", "32")
    assert passes_at_a_time([runtime, runtime], 3) == 2
    assert passes_at_a_time([runtime], 2) == 1, "one batch is done sooner on all cores"
    assert passes_at_a_time([runtime, lambda images: {}], 3) == 1, "something else may have threads of its own"
    on_gpu = copy.copy(runtime)
    on_gpu.device = torch.device("cuda")
    assert passes_at_a_time([runtime, on_gpu], 3) == 1
    runtime.set_compile(True)
    assert passes_at_a_time([runtime], 3) == 1
    runtime.set_compile(False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert passes_at_a_time([runtime], 3) == 1
