import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from sleap_nn.cli import capabilities, cli
from sleap_nn.cli.main import COMMANDS
from sleap_nn.config.inference_config import FORMATS
from sleap_nn.config.presets import HEADS
from sleap_nn.version import __version__


@pytest.fixture
def answer() -> dict:
    result = CliRunner().invoke(cli, ["--capabilities"])
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    return json.loads(line)


def test_the_answer_lists_what_there_is(answer: dict) -> None:
    assert (answer["schema_version"], answer["sleap_nn_version"]) == (1, __version__)
    assert list(answer["commands"]) == list(COMMANDS)
    assert answer["model_types"] == list(HEADS)
    assert answer["backbones"] == ["unet", "convnext", "swint", "pretrained"]
    assert answer["output_formats"] == list(FORMATS)
    assert answer["trackers"] == ["online", "global"]
    assert answer["features"]["gui_progress"] == 1
    assert answer["devices"][-1] == "cpu"


@pytest.mark.parametrize(
    ("command", "option", "facts"),
    [
        ("track", "batch_size", {"short": "-b", "type": "integer", "default": 4, "required": False}),
        ("track", "data_path", {"short": "-i", "default": None, "required": True}),
        ("track", "tracking", {"type": "flag", "default": False}),
        ("track", "model_paths", {"repeatable": True, "default": None}),
        ("track", "ensure_rgb", {"type": "flag", "off": ["no-ensure_rgb"], "default": None}),
        ("track", "peak_threshold", {"aliases": ["peak_conf_threshold"], "default": 0.2}),
        ("track", "output_format", {"type": "choice", "choices": list(FORMATS), "default": ["slp"]}),
        ("train", "config-name", {"short": "-c", "default": None}),
        ("eval", "match_threshold", {"type": "float", "default": 0.0}),
    ],
)
def test_options_are_described(answer: dict, command: str, option: str, facts: dict) -> None:
    described = answer["commands"][command]["options"][option]
    assert {name: described[name] for name in facts} == facts


def test_what_does_nothing_yet_or_is_hidden_is_not_listed(answer: dict) -> None:
    assert "masks" not in answer["commands"]["track"]["options"]["features"]["choices"]
    assert "video-config" not in answer["commands"]["train"]["options"]


@pytest.mark.parametrize(
    ("visible", "program", "expected"),
    [("0", "/bin/nvidia-smi", ["cuda", "cpu"]), ("-1", "/bin/nvidia-smi", ["cpu"]), ("0", None, ["cpu"])],
)
def test_devices(monkeypatch: pytest.MonkeyPatch, visible: str, program: str | None, expected: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(capabilities.shutil, "which", lambda _: program)
    monkeypatch.setattr(capabilities.platform, "system", lambda: "Linux")
    assert capabilities.devices() == expected


def test_an_apple_gpu_can_be_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities.shutil, "which", lambda _: None)
    monkeypatch.setattr(capabilities.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(capabilities.platform, "machine", lambda: "arm64")
    monkeypatch.delenv("SLEAP_NN_DISABLE_MPS", raising=False)
    assert capabilities.devices() == ["mps", "cpu"]
    monkeypatch.setenv("SLEAP_NN_DISABLE_MPS", "1")
    assert capabilities.devices() == ["cpu"]


def test_the_answer_needs_neither_torch_nor_the_label_reader() -> None:
    program = (
        "import sys\n"
        "from sleap_nn.cli import cli\n"
        "try: cli(['--capabilities'], prog_name='sleap-nn')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print([name for name in ('torch', 'lightning', 'sleap_io', 'cv2') if name in sys.modules])\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"
