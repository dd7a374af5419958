"""The final alignment of one utterance, word by word, for people to look at."""

from dataclasses import dataclass

import numpy as np

from nemo_models.evaluation.alignment import BLOCK, DELETION, INSERTION, MATCH
from nemo_models.evaluation.layers import LayeredScore


@dataclass(frozen=True)
class Step:
    """One step of an utterance's alignment, for people to look at.

    Attributes:
        kind: `match`, `substitution`, `deletion`, `insertion`.
        reference: Words of the reference; empty for an insertion.
        hypothesis: Words of the hypothesis; empty for a deletion.
        layer: The layer that forgave a match that was not literal; otherwise an empty text.
        hyp_word: Position of the hypothesis' first raw word, or of the next one for a deletion.
        ref_word: Position of the reference's first raw word, or of the next one for an insertion.
    """

    kind: str
    reference: str
    hypothesis: str
    layer: str
    hyp_word: int
    ref_word: int


KINDS = ("match", "substitution", "deletion", "insertion", "match")


def list_steps(score: LayeredScore, utterance: int) -> list[Step]:
    """Return an utterance's final alignment, step by step.

    Args:
        score: One system's score.
        utterance: Number of the utterance.
    """
    pairs, alignment, found = score.pairs, score.final, []
    first, last = np.searchsorted(pairs.owner, [utterance, utterance + 1])
    ref_zero, hyp_zero = pairs.raw_ref.bounds[first], pairs.raw_hyp.bounds[first]
    for piece in range(int(first), int(last)):
        spans = sorted(score.blocks[piece], key=lambda span: span[1])
        start = int(score.final_blocks.bounds[piece])
        for step in range(alignment.bounds[piece], alignment.bounds[piece + 1]):
            op, r, h = int(alignment.ops[step]), int(alignment.ref[step]), int(alignment.hyp[step])
            if op == BLOCK:
                span = spans[int(alignment.block[step]) - start]
                ones, others = (r, r + span[1] - span[0]), (h, h + span[3] - span[2])
                layer = score.block_layers[piece][span]
            else:
                ones = (r, r + (op != INSERTION))
                others = (h, h + (op != DELETION))
                layer = _layer_of(score, pairs.ref.ids[r], pairs.hyp.ids[h]) if op == MATCH else ""
            reference = " ".join(pairs.normal_words[n] for n in pairs.ref.ids[slice(*ones)])
            hypothesis = " ".join(pairs.normal_words[n] for n in pairs.hyp.ids[slice(*others)])
            hyp_word = int(np.searchsorted(pairs.hyp_starts, h, side="right")) - 1 - int(hyp_zero)
            ref_word = int(np.searchsorted(pairs.ref_starts, r, side="right")) - 1 - int(ref_zero)
            found.append(Step(KINDS[op], reference, hypothesis, layer, hyp_word, ref_word))
    return found


def _layer_of(score: LayeredScore, one: int, other: int) -> str:
    """Return the first layer that takes two words for equal, or an empty text where they are the same word."""
    if one == other:
        return ""
    return next(name for name, table in score.tables if table[one] == table[other])
