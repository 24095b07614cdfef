import copy
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import make_labels
from small_backbones import section

from sleap_nn.heads.confidence_maps import ConfidenceMapsHead
from sleap_nn.networks import compilation, model_dir
from sleap_nn.networks.compilation import compile_network
from sleap_nn.networks.network import PoseNetwork
from sleap_nn.training.model_trainer import ModelTrainer


@pytest.fixture(autouse=True)
def fresh_dynamo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what was translated; a translation into Python takes seconds, one into machine code minutes."""
    torch._dynamo.reset()
    monkeypatch.setattr(compilation, "BACKEND", "aot_eager")


def network() -> PoseNetwork:
    return PoseNetwork.from_config(section("unet", output_stride=4), [ConfidenceMapsHead("A", 3, output_stride=4)])


def broken(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
    raise RuntimeError("\nInvalidCxxCompiler: No working C++ compiler found\nmore")


def test_a_compiled_network_computes_the_same_under_the_same_names() -> None:
    plain = network()
    compiled = copy.deepcopy(plain)
    compile_network(compiled)
    image = torch.randint(0, 256, (2, 1, 32, 32), dtype=torch.uint8)
    outputs = [net(image)["confmaps"] for net in (plain, compiled)]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.mean().backward()
    for a, b in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    assert list(plain.state_dict()) == list(compiled.state_dict())


def test_without_a_compiler_the_network_runs_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch._dynamo, "lookup_backend", lambda name: broken)
    net = network()
    expected = copy.deepcopy(net)
    compile_network(net)
    with caplog.at_level(logging.WARNING, "sleap_nn"):
        for size in (1, 2):
            image = torch.randint(0, 256, (size, 1, 32, 32), dtype=torch.uint8)
            assert torch.equal(net(image)["confmaps"], expected(image)["confmaps"])
    (record,) = caplog.records
    assert record.getMessage().endswith("runs as it is: InvalidCxxCompiler: No working C++ compiler found")


@pytest.mark.slow
def test_a_compiled_run_is_resumed_by_one_that_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_labels(6, path=tmp_path / "labels.pkg.slp")
    calls: list[str] = []
    lookup = torch._dynamo.lookup_backend
    monkeypatch.setattr(torch._dynamo, "lookup_backend", lambda name: calls.append(name) or lookup(name))

    def run(**trainer: Any) -> ModelTrainer:
        config = {
            "data_config": {"train_labels_path": [str(tmp_path / "labels.pkg.slp")]},
            "model_config": {
                "backbone_config": {"unet": {"filters": 4, "max_stride": 4}},
                "head_configs": {"single_instance": {"confmaps": {"output_stride": 4}}},
            },
            "trainer_config": {
                "train_steps_per_epoch": 2,
                "min_train_steps_per_epoch": 1,
                "save_ckpt": True,
                "ckpt_dir": str(tmp_path),
                "run_name": "run",
                "trainer_accelerator": "cpu",
                "precision": "32",
                "ema_decay": 0.5,
                **trainer,
            },
        }
        trained = ModelTrainer(config)
        trained.train()
        return trained

    run(max_epochs=1, compile=True)
    assert "aot_eager" in calls
    names = set(model_dir.load_weights(tmp_path / "run" / "resume.ckpt"))
    again = run(max_epochs=2, resume_ckpt_path=str(tmp_path / "run"))
    assert again.lightning_model is not None
    assert names == set(again.lightning_model.model.state_dict())
    assert again.run_dir == tmp_path / "run"
