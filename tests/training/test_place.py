import pytest
from ranks import srun_environment, torchrun_environment

from sleap_nn.training.place import Place, torchrun_variables

SRUN = {
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_NUM_TASKS": "7",
    "SLURM_STEP_TASKS_PER_NODE": "4,2,1",
    "SLURM_STEP_NODELIST": "gpu[07-08,12]",
    "SLURM_JOB_ID": "1234567",
}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LOCAL_RANK": "0"},
        {"RANK": "0", "WORLD_SIZE": "2"},
        torchrun_environment(0, 1, 29500),
        srun_environment(0, 1, 29500),
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "1"},
    ],
    ids=["nothing", "only a rank", "no address", "torchrun of one", "srun of one", "sbatch without srun"],
)
def test_a_process_that_nothing_started_beside_others_stands_alone(environment: dict[str, str]) -> None:
    assert Place.from_environment(environment) == Place(0, 1, 0, 1)
    assert torchrun_variables(environment) == {}


def test_torchrun_tells_the_place() -> None:
    place = Place.from_environment(torchrun_environment(5, 8, 29500, num_machines=2))
    assert place == Place(rank=5, size=8, local_rank=1, local_size=4)
    assert place.num_machines == 2
    assert not place.is_beside_first
    assert Place.from_environment(torchrun_environment(3, 8, 29500, num_machines=2)).is_beside_first


def test_srun_tells_the_place_address_and_port() -> None:
    found = torchrun_variables(SRUN)
    assert (found["RANK"], found["WORLD_SIZE"], found["LOCAL_RANK"], found["LOCAL_WORLD_SIZE"]) == ("5", "7", "1", "2")
    assert found["GROUP_RANK"] == "1"
    assert found["MASTER_ADDR"] == "gpu07"
    assert 15000 <= int(found["MASTER_PORT"]) < 35000


def test_processes_of_one_job_find_the_same_port_and_may_be_told_another() -> None:
    ports = {torchrun_variables({**SRUN, "SLURM_PROCID": str(rank)})["MASTER_PORT"] for rank in range(7)}
    assert len(ports) == 1
    given = torchrun_variables({**SRUN, "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "4321"})
    assert (given["MASTER_ADDR"], given["MASTER_PORT"]) == ("10.0.0.1", "4321")


@pytest.mark.parametrize(
    ("text", "node", "local_size"), [("2(x3),1", "2", "2"), ("2(x3),1", "3", "1"), ("4", "0", "4")]
)
def test_tasks_of_nodes_are_counted_as_srun_writes_them(text: str, node: str, local_size: str) -> None:
    found = torchrun_variables({**SRUN, "SLURM_STEP_TASKS_PER_NODE": text, "SLURM_NODEID": node})
    assert found["LOCAL_WORLD_SIZE"] == local_size


def test_torchrun_inside_a_job_counts_before_srun() -> None:
    both = {**SRUN, **torchrun_environment(1, 2, 29500)}
    assert Place.from_environment(both) == Place(1, 2, 1, 2)
