"""Word errors of each language in the validation of a model that has several."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from nemo.collections.asr.metrics.wer import WER
from rapidfuzz.distance import Levenshtein

from data_prep.languages.language import DEFAULT_LANGUAGE
from data_prep.languages.union import find_member

ERRORS, WORDS = "val_wer_num_", "val_wer_denom_"
"""What the results of a batch are named, with the language's code behind it, as NeMo names those of all languages."""
RATE = "val_wer_"


class LanguageWER(WER):
    """NeMo's error rate, counted for each language too; over all processes of a training, as NeMo's is."""

    def __init__(self, languages: Sequence[str], **settings: Any) -> None:
        """Set up.

        Args:
            languages: Codes of the languages.
            settings: Those of NeMo's class.
        """
        super().__init__(**settings)
        self.languages = tuple(languages)
        self.rows: Sequence[str] = ()
        """The language of each utterance of the batch that comes next; empty counts none."""
        self.counts: dict[str, torch.Tensor] = {}
        """Errors and words of each language, by `ERRORS` and `WORDS`, as of the last `compute`."""
        none = torch.zeros(len(self.languages), dtype=torch.long)
        self.add_state("errors_of", default=none.clone(), dist_reduce_fx="sum", persistent=False)
        self.add_state("words_of", default=none.clone(), dist_reduce_fx="sum", persistent=False)

    def update(
        self,
        predictions: torch.Tensor,
        predictions_lengths: torch.Tensor,
        targets: torch.Tensor,
        targets_lengths: torch.Tensor,
        predictions_mask: torch.Tensor | None = None,
        input_ids: torch.Tensor | None = None,
        **others: Any,
    ) -> None:
        """Overrides NeMo's method: counts by language too."""
        arguments = (predictions, predictions_lengths, targets, targets_lengths, predictions_mask, input_ids)
        super().update(*arguments, **others)
        rows, self.rows = self.rows, ()
        for at, (code, found) in enumerate(zip(rows, self.hypotheses or (), strict=bool(rows))):
            best = found[0] if isinstance(found, list) else found
            reference = self.decoding.decode_ids_to_str(targets[at][: int(targets_lengths[at])].tolist())
            said, heard = (list(text) if self.use_cer else text.split() for text in (reference, best.text))
            if own := find_member(self.languages, code):
                number = self.languages.index(own)
                self.errors_of[number] += Levenshtein.distance(said, heard)
                self.words_of[number] += len(said)

    def compute(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Overrides NeMo's method: keeps what was counted by language in `counts`."""
        for name, values in ((ERRORS, self.errors_of), (WORDS, self.words_of)):
            self.counts |= {f"{name}{code}": values[at].detach().clone() for at, code in enumerate(self.languages)}
        return super().compute()


def list_rates(outputs: Sequence[Mapping[str, torch.Tensor]], languages: Sequence[str]) -> dict[str, torch.Tensor]:
    """Return `val_wer_<code>` of each language that the validation set holds.

    Args:
        outputs: The results of its batches.
        languages: Codes of the languages.
    """
    rates = {}
    for code in languages:
        counted = [output for output in outputs if f"{WORDS}{code}" in output]
        words = sum(int(output[f"{WORDS}{code}"]) for output in counted)
        if words:
            rates[f"{RATE}{code}"] = torch.tensor(sum(int(output[f"{ERRORS}{code}"]) for output in counted) / words)
    return rates


def languages_of_samples(loader: Any, numbers: Sequence[int]) -> list[str]:
    """Return the language of each utterance of a batch.

    Args:
        loader: NeMo's loader of a manifest, with `return_sample_id`.
        numbers: The utterances' numbers in it.
    """
    entries = loader.dataset.manifest_processor.collection
    return [entries[number].lang or DEFAULT_LANGUAGE for number in numbers]
