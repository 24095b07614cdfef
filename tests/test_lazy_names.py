import sys

import pytest

from sleap_nn.lazy_names import lazy_names


def test_a_name_is_imported_when_it_is_used() -> None:
    sys.modules.pop("this_is_no_module", None)
    find = lazy_names("package", {"Transform": "sleap_nn.structures.transform", "wrong": "this_is_no_module"})
    assert find("Transform").__module__ == "sleap_nn.structures.transform"
    with pytest.raises(ModuleNotFoundError):
        find("wrong")


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'package' has no attribute 'other'"):
        lazy_names("package", {})("other")
