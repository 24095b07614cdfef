import pytest

from sleap_nn.config.training_job_config import TrainingJobConfig
from sleap_nn.training import loading
from sleap_nn.training.loading import choose_workers, device_steps
from sleap_nn.training.place import Place


@pytest.mark.parametrize(
    ("steps", "num_devices", "each"), [(200, 1, 200), (200, 4, 50), (7, 2, 4), (9, 2, 4), (1, 4, 1), (3, 8, 1)]
)
def test_steps_are_divided_over_devices(steps: int, num_devices: int, each: int) -> None:
    assert device_steps(steps, num_devices) == each


def test_the_processes_of_a_machine_share_its_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "usable_cpus", lambda: 8)
    monkeypatch.setattr(loading, "free_exchange", lambda: None)

    def chosen(place: Place, steps: int = 400) -> tuple[int | str, int | str]:
        job = TrainingJobConfig()
        settings = job.trainer_config
        settings.train_steps_per_epoch = steps
        loaders = (settings.train_data_loader, settings.val_data_loader)
        for loader in loaders:
            loader.num_workers, loader.batch_size = "auto", 4
        choose_workers(job, 64, place)
        return loaders[0].num_workers, loaders[1].num_workers

    assert chosen(Place()) == (4, 2)
    assert chosen(Place(rank=3, size=4, local_rank=1, local_size=2)) == (3, 0)
    assert chosen(Place(size=8, local_size=8)) == (0, 0)
    assert chosen(Place(size=4), steps=40) == (1, 0)
