"""The number and place of the model's copies. This module does not import Ray, which is loaded after the checks."""

from dataclasses import dataclass

from data_prep.arguments import require_int


@dataclass(frozen=True)
class ClusterOptions:
    """Where replicas run.

    Attributes:
        replicas: Number of replicas, from 1; each loads the model.
        address: Address of a Ray cluster, such as `10.0.0.1:6379` or `auto`; `None` starts one on this machine. Every
            machine needs the project installed, and the model under the same path.
        cores: Cores that Ray reserves for a replica, from 1.
        gpus: GPUs that Ray reserves for a replica.

    Raises:
        ValueError: An option is out of range.
    """

    replicas: int = 1
    address: str | None = None
    cores: int = 1
    gpus: int = 0

    def __post_init__(self) -> None:
        require_int("replicas", self.replicas, 1)
        require_int("replica_cores", self.cores, 1)
        require_int("replica_gpus", self.gpus)
