"""Which labels of a model belong to which of its languages: the mask of one language, and the guess which one it is.

If languages share the labels of one script, the labels do not show the language. Each language has its own letters for
the labels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from nemo_models.decoding.ctc_decoding import PADDED_LOG_PROB
from nemo_models.files.model_language import LANGUAGES_KEY, read_folds

EQUAL_SHARE = 0.005
"""Languages whose letters hold nearly as much of the probability as the best one's count as equal: an alphabet that
holds another one's letters and more would otherwise always win."""


class LabelLanguages:
    """The languages of a model that has several.

    Attributes:
        codes: The languages, in the model's order.
        are_folded: Whether they share the labels of one script.
    """

    def __init__(self, labels: Sequence[str], languages: Mapping[str, Sequence[str] | Mapping[str, str]]) -> None:
        """Set up.

        Args:
            labels: The model's labels, in order; the blank comes after them.
            languages: Code -> its labels, or label -> letter.
        """
        self.codes = tuple(languages)
        folds = read_folds({LANGUAGES_KEY: languages})
        self.are_folded = bool(folds)
        self._unfolding = {code: str.maketrans(own) for code, own in folds.items()}
        self._letters = {code: self._find(labels, set(own) - {" "}) for code, own in languages.items()}
        self._allowed = {code: self._find(labels, set(own)) for code, own in languages.items()}
        for allowed in self._allowed.values():
            allowed[-1] = True

    @staticmethod
    def _find(labels: Sequence[str], own: set[str]) -> torch.Tensor:
        return torch.tensor([*(label in own for label in labels), False])

    def mask(self, log_probs: torch.Tensor, code: str) -> torch.Tensor:
        """Leave only the labels of one language, as if the head had no others.

        Args:
            log_probs: (T, V+1) float, natural log-probabilities, blank last.
            code: One of `codes`.

        Returns:
            (T, V+1): the probabilities of that language's labels and the blank sum up to 1 in each frame; the others
            have `PADDED_LOG_PROB`, which no search takes.
        """
        allowed = self._allowed[code].to(log_probs.device)
        left = log_probs.float().masked_fill(~allowed, float("-inf"))
        return (left - left.logsumexp(-1, keepdim=True)).clamp_min(PADDED_LOG_PROB).to(log_probs.dtype)

    def unfold(self, value: Any, code: str) -> Any:
        """Write a text, or each text in nested lists and mappings, with the letters of a language.

        Args:
            value: What was decoded: texts, times of characters and words, an n-best list.
            code: One of `codes`.
        """
        table = self._unfolding.get(code)
        if not table or not isinstance(value, str | list | tuple | dict):
            return value
        if isinstance(value, str):
            return value.translate(table)
        if isinstance(value, dict):
            return {key: self.unfold(item, code) for key, item in value.items()}
        return type(value)(self.unfold(item, code) for item in value)

    def measure(self, log_probs: torch.Tensor) -> dict[str, float]:
        """Measure the share of the letters' probability that each language's letters hold.

        Args:
            log_probs: (T, V+1) float, natural log-probabilities, blank last.

        Returns:
            Code -> share, 0 to 1, over the frames whose best label is a letter, or all frames if there is none; empty
            where no letter has any probability.
        """
        letters = torch.stack(list(self._letters.values())).any(0).to(log_probs.device)
        is_heard = letters[log_probs.argmax(-1)]
        heard = (log_probs[is_heard] if bool(is_heard.any()) else log_probs).double().exp()
        of_letters = {code: float(heard[:, own.to(heard.device)].sum()) for code, own in self._letters.items()}
        total = float(heard[:, letters].sum())
        return {code: mass / total for code, mass in of_letters.items()} if total else {}

    def identify(self, log_probs: torch.Tensor) -> str | None:
        """Return the language whose letters hold the most probability, see `measure`; `None` if none holds any, or if
        the languages share the labels of one script.

        Of languages that differ by less than `EQUAL_SHARE`, the first in the model's order.
        """
        shares = {} if self.are_folded else self.measure(log_probs)
        best = max(shares.values(), default=0.0)
        return next((code for code, share in shares.items() if share >= best - EQUAL_SHARE), None)


def read_label_languages(config: Mapping[str, Any] | Any, labels: Sequence[str]) -> LabelLanguages | None:
    """Return the languages of a model by its configuration; `None` for a model of one language.

    Args:
        config: The model's configuration.
        labels: The model's labels.
    """
    languages = config.get(LANGUAGES_KEY)
    return LabelLanguages(labels, languages) if languages else None
