from types import SimpleNamespace
from typing import Any, cast

import pytest

from sleap_nn.training.callbacks import stop_together
from sleap_nn.training.callbacks.stop_together import StopTogether


@pytest.mark.parametrize(("own", "others"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_validation_end", "on_train_epoch_end"])
def test_the_wish_of_one_is_that_of_all(monkeypatch: pytest.MonkeyPatch, hook: str, own: bool, others: bool) -> None:
    monkeypatch.setattr(stop_together, "on_any_device", lambda wish: wish or others)
    trainer = cast(Any, SimpleNamespace(should_stop=own))
    more = (0, 0, 0) if hook == "on_train_batch_end" else ()
    getattr(StopTogether(), hook)(trainer, cast(Any, None), *more)
    assert trainer.should_stop is (own or others)
