"""The CTC model: NeMo's `EncDecCTCModel` with corrections for character labels.

NeMo's model lets decoders read the frames of padding (`beam_batch` with a language model then gives a text that depends
on the batch), decodes character labels without times and confidence (see `ctc_decoding`), and by default parses
transcripts as English, which destroys Devanagari without an error.
"""

import threading
import weakref
from collections.abc import Sequence
from functools import wraps
from typing import Any

import torch
from lightning.pytorch import Trainer
from nemo.collections.asr.metrics.wer import WER
from nemo.collections.asr.models import EncDecCTCModel
from nemo.collections.asr.parts.mixins import TranscribeConfig
from nemo.utils import logging
from omegaconf import DictConfig, OmegaConf, open_dict

from data_prep.audio.measures import SILENCE_RANGE
from nemo_models.decoding.ctc_decoding import CharacterCTCDecoding
from nemo_models.decoding.lm_bundle import LM_KEY, register_language_model, unpack_language_model
from nemo_models.decoding.settings import complete_decoding_config
from nemo_models.decoding.strategy import frame_seconds, mask_log_probs, pad_log_probs
from nemo_models.files.model_language import LANGUAGES_KEY, make_folding
from nemo_models.language_wer import LanguageWER, languages_of_samples, list_rates
from nemo_models.stream_training import StreamTraining

_TRANSCRIBE_LOCKS: "weakref.WeakKeyDictionary[XLSRCTCModel, threading.RLock]" = weakref.WeakKeyDictionary()
"""One for each model, kept outside of it: a lock can be neither copied nor pickled."""


class XLSRCTCModel(StreamTraining, EncDecCTCModel):
    """A wav2vec 2.0 encoder with a CTC head over characters, as a NeMo model.

    Everything of NeMo's API works on it (`transcribe`, `change_decoding_strategy`, `save_to`, `restore_from`, …).
    """

    def __init__(self, cfg: DictConfig, trainer: Trainer | None = None):
        """Build the model with a decoding over characters.

        Args:
            cfg: Configuration, see `model_building.model_config`.
            trainer: Lightning's trainer; `None` without training.
        """
        unpack_language_model(cfg)
        decoding = cfg.get("decoding")
        with open_dict(cfg):
            cfg.decoding = None  # NeMo's own default, which loads nothing; it may not know this project's settings
        super().__init__(cfg=cfg, trainer=trainer)
        self.use_decoding(complete_decoding_config(decoding, strict=False))

    def forward(
        self,
        input_signal: torch.Tensor | None = None,
        input_signal_length: torch.Tensor | None = None,
        processed_signal: torch.Tensor | None = None,
        processed_signal_length: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Overrides NeMo's method: frames beyond an utterance's end have a blank of probability 1.

        Args:
            input_signal: Waveforms at 16 kHz, float, (B, T).
            input_signal_length: Valid samples of each, int64, (B,).
            processed_signal: Normalised waveforms instead, float, (B, T).
            processed_signal_length: Valid samples of each, int64, (B,).

        Returns:
            Log-probabilities, float, (B, T', labels + 1), blank last; valid frames of each, int64, (B,); and the best
            label of each frame, int64, (B, T').
        """
        log_probs, lengths, _ = super().forward(
            input_signal=input_signal,
            input_signal_length=input_signal_length,
            processed_signal=processed_signal,
            processed_signal_length=processed_signal_length,
        )
        log_probs = mask_log_probs(log_probs, lengths, blank_id=log_probs.shape[-1] - 1)
        return log_probs, lengths, log_probs.argmax(dim=-1)

    def change_vocabulary(self, new_vocabulary: Sequence[str], decoding_cfg: DictConfig | None = None) -> None:
        """Overrides NeMo's method: changes `cfg.labels` too, with which NeMo encodes transcripts.

        Args:
            new_vocabulary: Labels of a new head, without the blank.
            decoding_cfg: NeMo's decoding settings; `None` keeps the current ones, or searches greedily if they have a
                language model, which is for the old labels.
        """
        has_lm = OmegaConf.select(self.cfg, LM_KEY) is not None
        greedy = OmegaConf.create({"strategy": "greedy_batch"})
        decoding = decoding_cfg or (greedy if has_lm else self.cfg.decoding)
        super().change_vocabulary(list(new_vocabulary), greedy)
        with open_dict(self.cfg):
            self.cfg.labels = list(new_vocabulary)
            self.cfg.pop(LANGUAGES_KEY, None)  # it is about the old labels
        self.change_decoding_strategy(decoding, verbose=False)

    def change_decoding_strategy(self, decoding_cfg: Any = None, verbose: bool = True) -> None:
        """Overrides NeMo's method: the decoding is a `CharacterCTCDecoding`.

        Args:
            decoding_cfg: Any part of NeMo's decoding settings, as a mapping or as its dataclass `CTCDecodingConfig`;
                `None` keeps the current ones.
            verbose: Log the complete settings.

        Raises:
            ValueError: An unknown setting, or a value of a wrong type.
        """
        self.use_decoding(complete_decoding_config(self.cfg.decoding if decoding_cfg is None else decoding_cfg))
        if verbose:
            logging.info(f"decoding strategy:\n{OmegaConf.to_yaml(self.cfg.decoding)}")

    def use_decoding(self, config: DictConfig) -> None:
        """Decode with these settings from now on.

        Args:
            config: NeMo's decoding settings, complete; see `nemo_models.decoding.settings`.
        """
        self.decoding = CharacterCTCDecoding(config, list(self.decoder.vocabulary), self.frame_s)
        settings: dict[str, Any] = {key: self.cfg.get(key, False) for key in ("use_cer", "log_prediction")}
        settings |= {"decoding": self.decoding, "dist_sync_on_step": True}
        languages = self.cfg.get(LANGUAGES_KEY)
        self.wer = LanguageWER(list(languages), **settings) if languages else WER(**settings)
        self.decoder.temperature = config.temperature
        with open_dict(self.cfg):
            self.cfg.decoding = config

    @property
    def frame_s(self) -> float:
        """Seconds from one frame of log-probabilities to the next."""
        return frame_seconds(self)

    @wraps(EncDecCTCModel.transcribe)
    def transcribe(self, *arguments: Any, **keywords: Any) -> Any:
        """Overrides NeMo's method: calls from several threads run one after another.

        NeMo's method changes the model while it runs: it freezes weights and sets the decoding up again.
        """
        with _TRANSCRIBE_LOCKS.setdefault(self, threading.RLock()):
            return super().transcribe(*arguments, **keywords)

    def _transcribe_input_tensor_processing(
        self, audio_tensors: list[Any], temp_dir: str, trcfg: TranscribeConfig
    ) -> dict[str, Any]:
        """Overrides NeMo's method: samples are not padded to 1 s, which would change their text."""
        config: dict[str, Any] = super()._transcribe_input_tensor_processing(audio_tensors, temp_dir, trcfg)
        return {**config, "pad_min_duration": getattr(trcfg, "pad_min_duration", 0.0)}

    def _transcribe_forward(self, batch: Sequence[Any], trcfg: TranscribeConfig) -> dict[str, torch.Tensor]:
        """Overrides NeMo's method: silence is blank, and where padding changes the output, each row runs alone."""
        signals, samples = batch[0], batch[1]
        if getattr(self.encoder, "padding_changes_output", False) and bool((samples != samples[0]).any()):
            rows = zip(signals, samples, strict=True)
            alone = [self.forward(input_signal=row[None, :size], input_signal_length=size[None]) for row, size in rows]
            log_probs, lengths = pad_log_probs([row[0] for row, _, _ in alone])
        else:
            log_probs, lengths, _ = self.forward(input_signal=signals, input_signal_length=samples)
        silent = signals.amax(dim=1) - signals.amin(dim=1) <= SILENCE_RANGE
        heard = torch.where(silent.to(lengths.device), 0, lengths)
        return {"logits": mask_log_probs(log_probs, heard, blank_id=log_probs.shape[-1] - 1), "logits_len": lengths}

    def _transcribe_output_processing(self, outputs: dict[str, torch.Tensor], trcfg: TranscribeConfig) -> Any:
        """Overrides NeMo's method: supports n-best lists."""
        if not self.decoding.returns_n_best:
            return super()._transcribe_output_processing(outputs, trcfg)
        return self.decoding.ctc_decoder_predictions_tensor(
            outputs["logits"], outputs["logits_len"], return_hypotheses=trcfg.return_hypotheses
        )

    def training_step(self, batch: Sequence[Any], batch_nb: int) -> dict[str, Any]:
        """Overrides NeMo's method: passes the batch's four tensors on, and nothing else."""
        return super().training_step(tuple(batch[:4]), batch_nb)

    def validation_pass(self, batch: Sequence[Any], batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Overrides NeMo's method: counts word errors by language, where the rows' numbers are in the batch."""
        if not isinstance(self.wer, LanguageWER) or len(batch) < 5:
            return super().validation_pass(batch, batch_idx, dataloader_idx)
        self.wer.rows = languages_of_samples(self._validation_dl, [int(number) for number in batch[4]])
        metrics = super().validation_pass(tuple(batch[:4]), batch_idx, dataloader_idx)
        return {**metrics, **self.wer.counts}

    def multi_validation_epoch_end(self, outputs: Any, dataloader_idx: int = 0) -> Any:
        """Overrides NeMo's method: logs the word error rate of each language as `val_wer_<code>`."""
        metrics = super().multi_validation_epoch_end(outputs, dataloader_idx)
        metrics["log"].update(list_rates(outputs, list(self.cfg.get(LANGUAGES_KEY) or ())))
        return metrics

    def _setup_dataloader_from_config(self, config: DictConfig | None) -> Any:
        """Overrides NeMo's method: keeps transcripts unchanged by default, and applies `augmentor` with Lhotse too.

        Manifests may begin with a byte order mark. A model that writes several languages in one script folds texts.
        """
        if config is not None and config.get("parser") is None:
            config = OmegaConf.create(config)
            with open_dict(config):
                config.parser = "base"
        from nemo_models.training_data.byte_order_marks import byte_order_marks_skipped
        from nemo_models.training_data.folded_text import texts_folded

        with byte_order_marks_skipped(), texts_folded(make_folding(self.cfg)):
            loader = super()._setup_dataloader_from_config(config)
            if config is not None and config.get("use_lhotse") and config.get("augmentor"):
                from nemo_models.training_data.augmentation import augment_lhotse_loader

                augment_lhotse_loader(loader, config.augmentor, self.cfg.sample_rate)
        return loader

    def register_files(self) -> None:
        """Overrides the mixin's method: a language model becomes part of the `.nemo`."""
        register_language_model(self)
