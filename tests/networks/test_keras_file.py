from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional

from sleap_nn.config.backbone_config import UNetConfig
from sleap_nn.errors import ModelError
from sleap_nn.networks.keras_file import image_channels, read_keras
from sleap_nn.networks.unet import UNet

CONFIG = UNetConfig(
    filters=2,
    filters_rate=2.0,
    max_stride=4,
    output_stride=2,
    up_interpolate=False,
    convs_per_block=1,
    keras_layers=True,
)
LAYERS = {
    "stack0_enc0_conv0": (3, 3, 1, 2),
    "stack0_enc1_conv0": (3, 3, 2, 4),
    "stack0_enc4_middle_contract_conv0": (3, 3, 4, 8),
    "stack0_dec0_s4_to_s2_trans_conv": (3, 3, 4, 8),
    "stack0_dec0_s4_to_s2_refine_conv0": (3, 3, 8, 4),
}
"""Shapes of the kernels in Keras: the transposed one is (h, w, out, in)."""


def write(path: Path, layers: dict[str, tuple[int, ...]] | None = None, seed: int = 0) -> Path:
    """Write random weights as Keras does."""
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        for name, shape in (LAYERS if layers is None else layers).items():
            layer = file.create_group(f"model_weights/{name}/{name}")
            layer["kernel:0"] = rng.normal(size=shape).astype(np.float32)
            layer["bias:0"] = rng.normal(size=shape[-2 if "trans" in name else -1]).astype(np.float32)
        file.create_group("model_weights/max_pooling2d")
        file.create_group("optimizer_weights")["kernel:0"] = np.ones(3)
    return path


def test_a_network_computes_what_keras_computes(tmp_path: Path) -> None:
    path = write(tmp_path / "best_model.h5")
    weights, plan = read_keras(path)
    network = UNet(CONFIG)
    network.load_state_dict({name.removeprefix("backbone."): tensor for name, tensor in weights.items()})
    image = torch.rand(1, 1, 8, 12)
    with torch.no_grad():
        found = network(image).by_stride[2]
    assert len(plan.tensors) == len(weights) == 2 * len(LAYERS)
    with h5py.File(path) as file:
        expected = keras_forward(group(file, "model_weights"), image)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def group(parent: h5py.Group, name: str) -> h5py.Group:
    """Return a group of a file."""
    found = parent[name]
    assert isinstance(found, h5py.Group)
    return found


def keras_forward(layers: h5py.Group, image: torch.Tensor) -> torch.Tensor:
    """Compute the network with the layers of Keras, from their definitions."""

    def arrays(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        inner = group(layers, f"{name}/{name}")
        return torch.from_numpy(np.asarray(inner["kernel:0"])), torch.from_numpy(np.asarray(inner["bias:0"]))

    def conv(name: str, x: torch.Tensor) -> torch.Tensor:
        kernel, bias = arrays(name)
        return functional.relu(functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, padding=1))

    skips = []
    x = image
    for name in ("stack0_enc0_conv0", "stack0_enc1_conv0"):
        x = conv(name, x)
        skips.append(x)
        x = functional.max_pool2d(x, 2)
    x = conv("stack0_enc4_middle_contract_conv0", x)
    kernel, bias = arrays("stack0_dec0_s4_to_s2_trans_conv")
    # Every input cell adds its 3x3 kernel at twice its place; of the 2n + 1 cells the first 2n are kept.
    height, width = 2 * x.shape[2], 2 * x.shape[3]
    doubled = torch.zeros(1, kernel.shape[2], height + 1, width + 1)
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            added = torch.einsum("hwoi,i->ohw", kernel, x[0, :, row, column])
            doubled[0, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3] += added
    doubled = functional.relu(doubled[:, :, :height, :width] + bias[None, :, None, None])
    return conv("stack0_dec0_s4_to_s2_refine_conv0", torch.cat([skips[1], doubled], dim=1))


def test_channels_of_the_images(tmp_path: Path) -> None:
    assert image_channels(read_keras(write(tmp_path / "grey.h5"))[0]) == 1
    colour = {"stem0_conv0": (7, 7, 3, 2), "stack0_enc0_conv0": (3, 3, 2, 2)}
    assert image_channels(read_keras(write(tmp_path / "colour.h5", colour))[0]) == 3


def damage_shape(file: h5py.File) -> None:
    del file["model_weights/stack0_enc0_conv0/stack0_enc0_conv0/kernel:0"]
    group(file, "model_weights/stack0_enc0_conv0/stack0_enc0_conv0").create_dataset(
        "kernel:0", shape=(2**20, 2**20, 4, 4), dtype="f4", chunks=(1, 1, 4, 4)
    )


def damage_link(file: h5py.File) -> None:
    del file["model_weights/stack0_enc0_conv0"]
    file["model_weights/stack0_enc0_conv0"] = h5py.ExternalLink("secret.h5", "/data")


def damage_external(file: h5py.File) -> None:
    del file["model_weights/stack0_enc0_conv0/stack0_enc0_conv0/bias:0"]
    group(file, "model_weights/stack0_enc0_conv0/stack0_enc0_conv0").create_dataset(
        "bias:0", shape=(2,), dtype="f4", external=[("secret.bin", 0, 8)]
    )


def damage_group(file: h5py.File) -> None:
    del file["model_weights"]


def damage_layer(file: h5py.File) -> None:
    file.create_group("model_weights/lambda/lambda")["kernel:0"] = np.ones(3, np.float32)


def damage_packed(file: h5py.File) -> None:
    """A kernel of a gigabyte of zeros in a few kilobytes."""
    layer = group(file, "model_weights/stack0_enc0_conv0/stack0_enc0_conv0")
    del layer["kernel:0"]
    layer.create_dataset("kernel:0", shape=(16, 16, 1024, 1024), dtype="f4", chunks=True, compression="gzip")


def damage_names(file: h5py.File) -> None:
    """One array under a hundred names."""
    kernel = file.create_dataset("large", data=np.random.default_rng(0).normal(size=(3, 3, 32, 64)).astype("f4"))
    for number in range(2, 102):
        layer = file.create_group(f"model_weights/stack0_enc{number}_conv0/stack0_enc{number}_conv0")
        layer["kernel:0"], layer["bias:0"] = kernel, np.ones(64, np.float32)


@pytest.mark.parametrize(
    "damage",
    [damage_shape, damage_link, damage_external, damage_group, damage_layer, damage_packed, damage_names],
)
def test_files_that_ask_for_more_than_their_weights_are_refused(tmp_path: Path, damage) -> None:
    path = write(tmp_path / "best_model.h5")
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(ModelError, match=r"best_model\.h5") as caught:
        read_keras(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"text"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "best_model.h5"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read as a UNet of SLEAP"):
        read_keras(path)
