"""Train the tiny wav2vec 2.0 checkpoint that comes with the project, nemo_models/xlsr_tiny_hi, on synthesised speech.

XLSR-53's topology at small width, trained with CTC over the Hindi alphabet; the CTC head is left out, so that the
checkpoint is an encoder, as XLSR-53 is. The README.md beside the checkpoint has the command and the result. The run is
made for two CPU cores and a fixed time: the learning rate follows the clock, so two runs give different weights.
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
