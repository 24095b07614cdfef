"""Snippets of the training guide that several modules need, word for word, and where the guide itself is."""

import os
from pathlib import Path

GUIDE = Path(
    os.environ.get("SLEAP_NN_TRAINING_GUIDE", Path(__file__).parents[2] / "shared" / "spec" / "training-guide.md")
)

WANDB = """
trainer_config:
  use_wandb: true
  wandb_config:
    # ... other wandb settings ...
    viz_enabled: true         # Pre-rendered matplotlib images (default)
    viz_boxes: false          # Interactive keypoint boxes with sliders
    viz_masks: false          # Confidence map overlay masks
    viz_box_size: 5.0         # Size of keypoint boxes in pixels
    viz_confmap_threshold: 0.1  # Threshold for confidence map masks
"""

DEVICES = {
    "automatic": """
trainer_config:
  ckpt_dir: models
  run_name: multi_gpu_training_1
  trainer_accelerator: "auto"
  trainer_devices:
  trainer_device_indices:
  trainer_strategy: "auto"
""",
    "number": """
trainer_config:
ckpt_dir: models
  run_name: multi_gpu_training_1
  trainer_accelerator: "gpu"
  trainer_devices: 4
  trainer_device_indices:
  trainer_strategy: "ddp"
""",
    "indices": """
trainer_config:
ckpt_dir: models
  run_name: multi_gpu_training_1
  trainer_accelerator: "gpu"
  trainer_devices: 2
  trainer_device_indices:
    - 0
    - 2
  trainer_strategy: "ddp"
""",
}


def repaired(snippet: str) -> str:
    """Return a snippet as it is meant: `ckpt_dir` stands one level too far left, which no YAML reader accepts."""
    return snippet.replace("\nckpt_dir", "\n  ckpt_dir")
