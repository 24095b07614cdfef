import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sleap_nn.networks import blocks
from sleap_nn.networks.blocks import UpBlock, conv_relu, halve
from sleap_nn.networks.devices import native_bfloat16

DTYPES = [torch.float32, torch.bfloat16]


def some_map(channels: int, height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return a map with channels last."""
    values = torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(0))
    return values.to(dtype).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(8, 12), (7, 12), (8, 5), (1, 1), (2, 2)])
def test_halving_is_the_same_in_training_and_prediction(size: tuple[int, int], dtype: torch.dtype) -> None:
    x = some_map(3, *size, dtype)
    expected = functional.max_pool2d(x, 2, ceil_mode=True)
    assert torch.equal(halve(x), expected)
    with torch.no_grad():
        assert torch.equal(halve(x), expected)
    with torch.inference_mode():
        found = halve(x)
    assert torch.equal(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_halving_keeps_what_is_not_a_number() -> None:
    x = some_map(3, 4, 4)
    x[0, 1, 2, 3] = torch.nan
    with torch.no_grad():
        assert torch.equal(halve(x).isnan(), functional.max_pool2d(x, 2).isnan())


def test_halving_is_one_layer_of_an_exported_network() -> None:
    class Halving(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return halve(x)

    with torch.no_grad():
        graph = torch.export.export(Halving(), (some_map(3, 8, 8),)).graph
    assert [node.target for node in graph.nodes if node.op == "call_function"] == [torch.ops.aten.max_pool2d.default]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("channels", "kernel"), [(1, 3), (5, 3), (16, 1), (16, 5)])
def test_a_convolution_is_the_same_in_training_and_prediction(channels: int, kernel: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(channels, 8, kernel, padding="same").to(dtype)
    x = some_map(channels, 12, 17, dtype)
    expected = functional.relu(functional.conv2d(x, conv.weight, conv.bias, padding="same"))
    assert (expected == 0).any()
    with torch.inference_mode():
        assert torch.equal(conv_relu(conv, x), expected)
    trained = conv_relu(conv, x)
    assert torch.equal(trained, expected)
    assert trained.requires_grad


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_an_even_kernel_keeps_the_size() -> None:
    conv = nn.Conv2d(4, 8, 4, padding="same").bfloat16()
    with torch.inference_mode():
        assert conv_relu(conv, some_map(4, 8, 10, torch.bfloat16)).shape == (2, 8, 8, 10)


@pytest.mark.skipif(not native_bfloat16("cpu"), reason="this processor does not compute in bfloat16")
def test_bfloat16_is_convolved_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = nn.Conv2d(4, 8, 3, padding="same").bfloat16()
    monkeypatch.setattr(blocks.functional, "relu", None)
    with torch.inference_mode():
        assert (conv_relu(conv, some_map(4, 8, 8, torch.bfloat16)) >= 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("channels", "out"), [(1, 8), (1, 1), (3, 5), (8, 8), (24, 7)])
@pytest.mark.parametrize("size", [(1, 16), (6, 18), (33, 50)])
def test_few_channels_are_convolved_two_pixels_at_a_time(
    size: tuple[int, int], channels: int, out: int, bias: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_has_wide_registers", lambda: True)
    torch.manual_seed(0)
    conv = nn.Conv2d(channels, out, 3, padding="same", bias=bias).to(dtype)
    x = some_map(channels, *size, dtype)
    with torch.no_grad():
        expected = functional.relu(conv(x))
        found = conv_relu(conv, x)
        monkeypatch.setattr(conv, "forward", None)  # which convolves one pixel at a time
        assert torch.equal(conv_relu(conv, x), found)
    tolerance = 1e-5 if dtype == torch.float32 else 0.03
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("out", "width", "kernel"), [(9, 16, 3), (8, 17, 3), (8, 14, 3), (8, 16, 5)])
def test_other_maps_are_convolved_as_they_are(
    out: int, width: int, kernel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_has_wide_registers", lambda: True)
    monkeypatch.setattr(blocks, "_conv_relu_of_pairs", None)
    conv = nn.Conv2d(1, out, kernel, padding="same")
    with torch.no_grad():
        assert conv_relu(conv, some_map(1, 4, width)).shape == (2, out, 4, width)


def up_block(channels: tuple[int, int, int], dtype: torch.dtype, kernel_size: int = 3) -> UpBlock:
    """Return a step up with random weights."""
    torch.manual_seed(0)
    block = UpBlock("up", channels, num_convs=2, kernel_size=kernel_size, interpolate=True)
    return block.to(dtype).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [(16, 8, 8), (5, 3, 7), (1, 1, 1)])
@pytest.mark.parametrize("size", [(6, 9), (1, 1), (1, 4), (3, 1)])
def test_a_step_up_gives_the_same_map_in_training_and_prediction(
    size: tuple[int, int], channels: tuple[int, int, int], dtype: torch.dtype
) -> None:
    block = up_block(channels, dtype)
    x, skip = some_map(channels[0], *size, dtype), some_map(channels[1], 2 * size[0], 2 * size[1], dtype)
    expected = block(x, skip)
    assert expected.requires_grad
    tolerance = 1e-5 if dtype == torch.float32 else 0.03
    with torch.inference_mode():
        found = block(x, skip)
    torch.testing.assert_close(found, expected.detach(), rtol=tolerance, atol=tolerance)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [(16, 8, 8), (5, 3, 7)])
def test_a_prediction_does_not_join_maps_but_their_convolutions(
    channels: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    block = up_block(channels, torch.float32)
    x, skip = some_map(channels[0], 4, 6), some_map(channels[1], 8, 12)
    monkeypatch.setattr(torch, "cat", None)
    with torch.no_grad():
        assert block(x, skip).shape == (2, channels[2], 8, 12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_step_up_is_cast_where_the_layers_are(dtype: torch.dtype) -> None:
    block = up_block((6, 4, 5), torch.float32)
    x, skip = some_map(6, 4, 6, dtype), some_map(4, 8, 12, dtype)
    with torch.autocast("cpu", torch.bfloat16):
        expected = block(x, skip).detach()
        with torch.no_grad():
            found = block(x, skip)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0.03, atol=0.03)


@pytest.mark.skipif(not native_bfloat16("cpu"), reason="this processor does not compute in bfloat16")
def test_evaluation_while_training_gives_the_numbers_of_a_network_in_bfloat16() -> None:
    trained, loaded = up_block((6, 4, 5), torch.float32), up_block((6, 4, 5), torch.float32).bfloat16()
    x, skip = some_map(6, 4, 6, torch.bfloat16), some_map(4, 8, 12, torch.bfloat16)
    with torch.inference_mode():
        expected = loaded(x, skip)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(trained(x, skip), expected)


@pytest.mark.parametrize(("kernel_size", "skip_size"), [(5, (8, 12)), (1, (8, 12)), (3, (7, 11)), (3, (8, 13))])
def test_other_steps_up_are_the_same_numbers(kernel_size: int, skip_size: tuple[int, int]) -> None:
    block = up_block((6, 4, 5), torch.float32, kernel_size)
    x, skip = some_map(6, 4, 6), some_map(4, *skip_size)
    expected = block(x, skip).detach()
    with torch.inference_mode():
        assert torch.equal(block(x, skip), expected)


def test_an_exported_step_up_is_made_of_plain_layers() -> None:
    with torch.no_grad():
        graph = torch.export.export(up_block((6, 4, 5), torch.float32), (some_map(6, 4, 6), some_map(4, 8, 12))).graph
    names = {str(node.target) for node in graph.nodes if node.op == "call_function"}
    assert "aten.cat.default" in names
    assert not any("mkldnn" in name for name in names)


@pytest.mark.parametrize("dtype", DTYPES)
def test_kept_kernels_give_the_same_map(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_has_wide_registers", lambda: True)
    for channels in ((6, 4, 5), (16, 16, 32)):
        block = up_block(channels, dtype)
        x, skip = some_map(channels[0], 8, 12, dtype), some_map(channels[1], 16, 24, dtype)
        with torch.inference_mode():
            expected = block(x, skip)
            block.requires_grad_(False)
            for _ in range(2):
                assert torch.equal(block(x, skip), expected)
            assert torch.equal(block(x[:1], skip[:1]), block.requires_grad_(True)(x[:1], skip[:1]))


def test_a_network_that_predicts_keeps_its_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    block = up_block((16, 16, 8), torch.float32).requires_grad_(False)
    x, skip = some_map(16, 8, 12), some_map(16, 16, 24)
    with torch.inference_mode():
        expected = block(x, skip)
        monkeypatch.setattr(blocks, "_kernels", None)
        assert torch.equal(block(x, skip), expected)
