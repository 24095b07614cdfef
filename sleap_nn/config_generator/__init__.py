"""Training configurations made from labels: look at them, recommend, write YAML. Names resolve at first access."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sleap_nn.lazy_names import lazy_names

if TYPE_CHECKING:
    from sleap_nn.config_generator.generate import generate_config
    from sleap_nn.config_generator.generator import ConfigGenerator
    from sleap_nn.config_generator.memory import MemoryEstimate, estimate_memory
    from sleap_nn.config_generator.recommend import ConfigRecommendation, recommend_config, recommend_pipeline
    from sleap_nn.config_generator.stats import DatasetStats, analyze_labels, analyze_slp

_NAMES = {
    "ConfigGenerator": "sleap_nn.config_generator.generator",
    "ConfigRecommendation": "sleap_nn.config_generator.recommend",
    "DatasetStats": "sleap_nn.config_generator.stats",
    "MemoryEstimate": "sleap_nn.config_generator.memory",
    "analyze_labels": "sleap_nn.config_generator.stats",
    "analyze_slp": "sleap_nn.config_generator.stats",
    "estimate_memory": "sleap_nn.config_generator.memory",
    "generate_config": "sleap_nn.config_generator.generate",
    "recommend_config": "sleap_nn.config_generator.recommend",
    "recommend_pipeline": "sleap_nn.config_generator.recommend",
}

__all__ = [
    "ConfigGenerator",
    "ConfigRecommendation",
    "DatasetStats",
    "MemoryEstimate",
    "analyze_labels",
    "analyze_slp",
    "estimate_memory",
    "generate_config",
    "recommend_config",
    "recommend_pipeline",
]

__getattr__ = lazy_names(__name__, _NAMES)
