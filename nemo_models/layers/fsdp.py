"""Sharding of weights, gradients and optimizer state over the processes (FSDP2), for encoders too large for one GPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from nemo_models.files.checkpoint_files import load_training_checkpoint

SHARDED = "fsdp2"
"""The value of `trainer.strategy` for it."""


class ShardedStrategy(ModelParallelStrategy):
    """Lightning's strategy for FSDP2, over all processes of all nodes; its checkpoints are single files."""

    def __init__(self) -> None:
        super().__init__(tensor_parallel_size=1, save_distributed_checkpoint=False)

    def load_checkpoint(self, checkpoint_path: str | Path) -> dict[str, Any]:
        """Overrides Lightning's method, which unpickles the file: reads it first without running code from it."""
        load_training_checkpoint(Path(checkpoint_path))
        return super().load_checkpoint(checkpoint_path)

    def setup_environment(self) -> None:
        self._data_parallel_size = self.num_processes * self.num_nodes
        super().setup_environment()


def shard(encoder_network: torch.nn.Module, decoder: torch.nn.Module, mesh: DeviceMesh) -> None:
    """Shard an encoder, layer by layer, and a decoder over the processes.

    They are separate units, since NeMo's training step calls them and not the model as a whole.

    Args:
        encoder_network: transformers' model; its layers are gathered one at a time.
        decoder: NeMo's decoder module.
        mesh: Device mesh of one dimension.
    """
    for layer in encoder_network.encoder.layers:  # type: ignore[union-attr]
        fully_shard(layer, mesh=mesh)
    fully_shard(encoder_network, mesh=mesh)
    fully_shard(decoder, mesh=mesh)


def is_sharded(model: torch.nn.Module) -> bool:
    """Whether any part of a model is sharded."""
    return any(isinstance(module, FSDPModule) for module in model.modules())


@contextmanager
def gathered_state_dict(model: torch.nn.Module) -> Iterator[None]:
    """Let a sharded model's `state_dict` return complete weights on the first process; all processes must enter."""
    if not is_sharded(model):
        yield
        return
    whole = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
    model.state_dict = lambda *_, **__: whole  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        del model.state_dict
