from dataclasses import replace
from pathlib import Path

import pytest

from sleap_nn.config.presets import HEADS
from sleap_nn.config_generator import analyze_slp
from sleap_nn.config_generator.pipelines import MEANINGS, PIPELINES, check_pipeline
from sleap_nn.errors import ConfigError
from sleap_nn.tasks import TASKS


def test_pipelines_are_made_of_model_types() -> None:
    assert list(PIPELINES) == list(MEANINGS)
    assert {model_type for types in PIPELINES.values() for model_type in types} == TASKS.keys() <= HEADS.keys()


def test_what_labels_lack_is_said_in_a_sentence(generator_labels: Path) -> None:
    stats = analyze_slp(generator_labels / "two.pkg.slp")
    for name in PIPELINES:
        check_pipeline(name, stats)
    with pytest.raises(ConfigError, match=r"no edges, along which a bottomup model .*, or choose topdown\.$"):
        check_pipeline("bottomup", replace(stats, edges=()))
    for name in ("bottomup", "topdown"):
        with pytest.raises(ConfigError, match=rf"have no tracks, .* identities; .*, or choose {name}\.$"):
            check_pipeline(f"multi_class_{name}", replace(stats, track_names=()))
    with pytest.raises(ConfigError, match="no pipeline 'centered_instance'; choose one of single_instance, "):
        check_pipeline("centered_instance", stats)
