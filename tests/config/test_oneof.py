from dataclasses import dataclass

import pytest

from sleap_nn.config.head_config import CentroidConfig, HeadConfig, SingleInstanceConfig
from sleap_nn.config.oneof import oneof
from sleap_nn.errors import ConfigError


@oneof
@dataclass
class Choice:
    left: int | None = None
    right: int | None = None


@oneof(must_be_set=True)
@dataclass
class Needed:
    left: int | None = None
    right: int | None = None


@pytest.mark.parametrize("cls", [Choice, Needed])
def test_the_decorator_tells_which_entry_is_set(cls):
    chosen = cls(right=0)
    assert chosen.which_oneof_attrib_name() == "right"
    assert chosen.which_oneof() == 0


@pytest.mark.parametrize("cls", [Choice, Needed])
def test_two_entries_are_refused(cls):
    with pytest.raises(ConfigError, match="Only one attribute may be set, but left and right"):
        cls(left=1, right=2)


def test_none_is_refused_only_where_one_must_be_set():
    assert Choice().which_oneof_attrib_name() is None
    assert Choice().which_oneof() is None
    with pytest.raises(ConfigError, match="At least one attribute must be set; choose one of left, right"):
        Needed()


def test_sections_of_the_configuration_behave_the_same():
    head = HeadConfig(centroid=CentroidConfig())
    assert head.which_oneof_attrib_name() == "centroid"
    assert head.which_oneof() == CentroidConfig()
    assert HeadConfig().which_oneof() is None
    with pytest.raises(ValueError, match="Only one attribute"):
        HeadConfig(centroid=CentroidConfig(), single_instance=SingleInstanceConfig())
