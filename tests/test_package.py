import subprocess
import sys

import pytest

import sleap_nn

HEAVY = ("torch", "lightning", "omegaconf", "sleap_io", "numpy", "pydantic", "click")


def test_version_is_a_release_number():
    assert sleap_nn.__version__.split(".")[0].isdigit()


@pytest.mark.parametrize(("environment", "rank"), [(None, -1), ("0", 0), ("3", 3)])
def test_rank_comes_from_the_environment(monkeypatch, environment, rank):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if environment is not None:
        monkeypatch.setenv("LOCAL_RANK", environment)
    assert rank == sleap_nn.RANK


def test_public_names_can_all_be_resolved():
    assert set(sleap_nn.__all__) == {"Predictor", "__version__", "load_metrics", "load_models", "predict"}
    for name in (*sleap_nn.__all__, "redirect_logs_to_stderr"):
        assert getattr(sleap_nn, name) is not None
        assert name in dir(sleap_nn)


def test_names_are_the_objects_of_their_modules():
    from sleap_nn.evaluation import load_metrics
    from sleap_nn.inference import Predictor
    from sleap_nn.log import redirect_logs_to_stderr

    assert sleap_nn.load_metrics is load_metrics
    assert sleap_nn.Predictor is Predictor
    assert sleap_nn.redirect_logs_to_stderr is redirect_logs_to_stderr


def test_predict_is_a_module_that_can_be_called():
    import sleap_nn.predict as module
    from sleap_nn import predict

    assert predict is module
    assert callable(predict)


def test_load_models_calls_the_predictor(monkeypatch):
    from sleap_nn.inference import Predictor

    monkeypatch.setattr(Predictor, "from_model_paths", lambda paths, **settings: (paths, settings))
    assert sleap_nn.load_models(["run"], device="cpu") == (["run"], {"device": "cpu"})


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = sleap_nn.nothing


def test_import_loads_nothing_heavy():
    program = f"import sys, sleap_nn; print([name for name in {HEAVY} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"
