"""Train the tiny wav2vec 2.0 checkpoint that comes with the project, nemo_models/xlsr_tiny_hi, on synthesised speech.

The checkpoint has XLSR-53's topology at small width and is trained with CTC over the Hindi alphabet. Its CTC head is
left out, so that it is an encoder like XLSR-53. The README.md in the checkpoint's folder has the command and the
result. The run is planned for two CPU cores and a fixed time: the learning rate follows the clock, so two runs give
different weights.
"""

from hydra_job import hydra_job
from nemo_models.pretraining.tiny_settings import TinyCheckpointSettings


@hydra_job("make_tiny_checkpoint", TinyCheckpointSettings)
def main(settings: TinyCheckpointSettings) -> None:
    """Train until the time is over; evaluate, save and export at intervals."""
    from nemo_models.pretraining.tiny_checkpoint import train_checkpoint

    train_checkpoint(settings)


if __name__ == "__main__":
    main()
