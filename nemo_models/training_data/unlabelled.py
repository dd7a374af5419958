"""Batches of audio without transcripts; for pre-training cropped to one length, so that they need no padding."""

from typing import Any

import torch
from lhotse.dataset.collation import collate_vectors
from nemo.collections.asr.data.audio_to_text_lhotse import LhotseSpeechToTextBpeDataset
from nemo.collections.common.data.lhotse import get_lhotse_dataloader_from_config
from omegaconf import DictConfig, OmegaConf, open_dict

from nemo_models.training_data.augmentation import augment_lhotse_loader
from nemo_models.training_data.byte_order_marks import byte_order_marks_skipped

DATA_KEYS = ("manifest_filepath", "shar_path", "cuts_path", "input_cfg")
"""Settings of a dataset that name its data; without any of them there is none."""
OWN_KEYS = ("crop", "crop_seconds", "unlabelled", "audio_dir", "labels", "parser")
"""Settings of a dataset that Lhotse does not know."""


class UnlabelledAudioDataset(LhotseSpeechToTextBpeDataset):
    """Overrides NeMo's dataset for Lhotse: returns audio and no labels.

    Args:
        crop: Whether to cut every recording of a batch to the length of the shortest, at a random place. The random
            number comes from torch, which `DatasetWithInfo` seeds for each batch.
        max_samples: Longest crop, in samples; 0 has no limit.
    """

    def __init__(self, crop: bool = True, max_samples: int = 0) -> None:
        super().__init__(tokenizer=_no_labels, return_cuts=False)
        self.crop, self.max_samples = crop, max_samples

    def __getitem__(self, cuts: Any) -> tuple[Any, ...]:
        """Read a batch.

        Args:
            cuts: Lhotse's cuts, with or without supervisions.

        Returns:
            Audio, float32, (B, T); its lengths, int64, (B,); labels, int64, (B, 0); their numbers, int64, (B,), all 0;
            and the readable cuts if `return_cuts` is set.
        """
        audio, lengths, kept = self.load_audio(cuts)
        if self.crop:
            audio, lengths = crop_batch(audio, lengths, self.max_samples)
        labels = torch.zeros(len(audio), 0, dtype=torch.int64)
        batch = audio, lengths.long(), labels, torch.zeros(len(audio), dtype=torch.int64)
        return (*batch, kept.drop_in_memory_data()) if self.return_cuts else batch


def open_unlabelled_loader(config: DictConfig, sample_rate: int, rank: int, processes: int) -> Any:
    """Open the loader of a dataset without transcripts.

    Args:
        config: `train_ds` or `validation_ds`; `crop` and `crop_seconds` as in `UnlabelledAudioDataset`.
        sample_rate: Rate of the audio, Hz.
        rank: Rank of this process.
        processes: Number of processes.

    Returns:
        Lhotse's loader; `None` if the dataset names no data.
    """
    if all(config.get(key) is None for key in DATA_KEYS):
        return None
    settings = DictConfig(OmegaConf.to_container(config, resolve=True))
    with open_dict(settings):
        own = {key: settings.pop(key, None) for key in OWN_KEYS}
        augmentor = settings.pop("augmentor", None)
    longest = round((own["crop_seconds"] or 0) * sample_rate)
    dataset = UnlabelledAudioDataset(crop=bool(own["crop"]), max_samples=longest)
    with byte_order_marks_skipped():
        loader = get_lhotse_dataloader_from_config(settings, global_rank=rank, world_size=processes, dataset=dataset)
    if augmentor:
        augment_lhotse_loader(loader, augmentor, sample_rate)
    return loader


def crop_batch(audio: torch.Tensor, lengths: torch.Tensor, max_samples: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut each row to the length of the shortest, at a uniformly random place.

    Args:
        audio: Float, (B, T).
        lengths: Valid samples of each row, int, (B,).
        max_samples: Longest crop; 0 has no limit.

    Returns:
        Float, (B, shortest); and `lengths`, all alike.

    Source: fairseq's `raw_audio_dataset.py`, whose crops are those of its batches without padding.
    """
    size = int(lengths.min())
    size = min(size, max_samples) if max_samples else size
    starts = (torch.rand(len(audio), dtype=torch.float64) * (lengths - size + 1)).long().minimum(lengths - size)
    rows = [row[start : start + size] for row, start in zip(audio, starts.tolist(), strict=True)]
    return collate_vectors(rows, padding_value=0.0), torch.full_like(lengths, size)


def _no_labels(text: str) -> list[int]:
    return []
