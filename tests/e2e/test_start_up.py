"""What a prediction does not wait for: packages that take seconds to load, and that it has no use for."""

import subprocess
import sys
from pathlib import Path

from constant_model import write_constant_model

from sleap_nn.data.synthetic import Scene, write_dataset

SLOW = ("torch._dynamo", "torchvision", "scipy.optimize", "scipy.special", "scipy.sparse", "lightning", "matplotlib")

SCRIPT = f"""
import sys
from sleap_nn.inference import predict

found = predict(sys.argv[1], model_paths=sys.argv[2], device="cpu")
print(len(found), [name for name in {SLOW} if name in sys.modules])
"""


def test_a_prediction_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    drawn = write_dataset(tmp_path, Scene(height=64, width=64, channels=1), num_labels=4, num_video_frames=3)
    write_constant_model(tmp_path / "run", drawn.labels)
    command = [sys.executable, "-c", SCRIPT, str(drawn.video), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "3 []"
