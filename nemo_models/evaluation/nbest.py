"""Attributes errors to the language model, the width of the beam, or the acoustic model, by means of n-best lists.

If some hypothesis of the n-best list lacks an error, a better choice in the list would correct it: this is the task of
the language model. If only the second half of the list corrects it, a wider beam would probably correct more errors.
The remaining errors need a better acoustic model.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nemo_models.evaluation.layers import LayeredScore
from nemo_models.evaluation.matching import ScoredUtterance, System
from nemo_models.evaluation.options import LayerOptions

BEAMS_KEY = "beams"


def measure_oracle(
    utterances: Sequence[ScoredUtterance], system: System, score: LayeredScore, options: LayerOptions
) -> dict[str, Any] | None:
    """Score the best hypothesis of each n-best list.

    Args:
        utterances: The test set.
        system: Predictions with `beams`: [text, score] each, best first, as `extract_nbest=true` writes them.
        score: The system's own score.
        options: Layers, as for that score.

    Returns:
        `utterances` with lists; `oracle`: size of the list and rate of its best entry, over these utterances; errors
        by what could correct them: `language_model`, `longer_beam`, `model`. `None` if there are no lists.
    """
    lists = [_read_beams(row.fields.get(BEAMS_KEY)) for row in system.rows]
    numbers = [number for number, beams in enumerate(lists) if beams]
    if not numbers:
        return None
    owners = [number for number in numbers for _ in lists[number]]
    texts = [text for number in numbers for text in lists[number]]
    errors = LayeredScore([utterances[number].reference for number in owners], texts, options).errors
    bounds = np.concatenate([[0], np.cumsum([len(lists[number]) for number in numbers])])
    words = max(1, int(score.words[numbers].sum()))
    longest = max(len(lists[number]) for number in numbers)
    own = score.errors[numbers]
    best = {0: own}
    for size in _sizes(longest):
        best[size] = np.array(
            [
                min(int(own[at]), int(errors[bounds[at] : min(bounds[at] + size, bounds[at + 1])].min()))
                for at in range(len(numbers))
            ]
        )
    half = best[max(size for size in best if size <= max(1, longest // 2))]
    return {
        "utterances": len(numbers),
        "oracle": [{"n": max(1, size), "wer": float(best[size].sum() / words)} for size in sorted(best) if size],
        "errors": int(own.sum()),
        "language_model": int((own - half).sum()),
        "longer_beam": int((half - best[longest]).sum()),
        "model": int(best[longest].sum()),
    }


def _sizes(longest: int) -> list[int]:
    sizes = [1]
    while sizes[-1] * 2 < longest:
        sizes.append(sizes[-1] * 2)
    return sorted({*sizes, longest})


def _read_beams(beams: Any) -> list[str]:
    if not isinstance(beams, list):
        return []
    return [beam[0] for beam in beams if isinstance(beam, list) and beam and isinstance(beam[0], str)]
