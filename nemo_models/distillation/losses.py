"""The losses of distillation: differences of hidden states, and of the probabilities of each frame.

CTC predicts a label in one or two frames and blanks in all others. A plain mean over frames would therefore teach
mainly blanks. Here frames near a label have weight 1, and all others have `blank_weight`.

The loss of a batch is the mean over its utterances. So it does not matter how utterances are divided into batches and
processes of as many each, and a long utterance counts as much as a short one, as in NeMo's CTC.
"""

import torch
from torch import Tensor
from torch.nn import functional


def frame_weights(teacher: Tensor, lengths: Tensor, blank_weight: float, neighbours: int) -> Tensor:
    """Weigh frames by whether the teacher writes a label in or near them.

    Args:
        teacher: The teacher's log-probabilities, float, (B, T, labels + 1), blank last.
        lengths: Valid frames of each, int64, (B,).
        blank_weight: Weight of a frame with no label near it, 0 to 1.
        neighbours: Frames on either side of a label that count fully.

    Returns:
        Weights, float, (B, T); 0 beyond each length.
    """
    valid = torch.arange(teacher.shape[1], device=teacher.device) < lengths[:, None]
    labels = (teacher.argmax(dim=-1) != teacher.shape[-1] - 1) & valid
    near = functional.max_pool1d(labels.float()[:, None], 2 * neighbours + 1, stride=1, padding=neighbours)[:, 0]
    return torch.where(near > 0, 1.0, blank_weight) * valid


def divergence_loss(student: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
    """Compute the Kullback-Leibler divergence of the student from the teacher: each utterance's mean, then their mean.

    Args:
        student: The student's log-probabilities, float, (B, T, labels + 1).
        teacher: The teacher's, which may be -inf, the same shape.
        weights: Weight of each frame, (B, T).

    Returns:
        A scalar in nats, 0 if both are equal. An utterance without any weight counts as 0.
    """
    # -inf times a probability of 0 would be NaN
    difference = torch.where(teacher.isneginf(), 0.0, teacher - student)
    divergence = (teacher.exp() * difference).sum(dim=-1)
    return ((divergence * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-6)).mean()


def hidden_loss(student: Tensor, teacher: Tensor, lengths: Tensor) -> Tensor:
    """Compute how far a student's hidden states are from its teacher's, relative to the teacher's power.

    Args:
        student: Hidden states, float, (B, T, D).
        teacher: The same channels of the teacher's, (B, T, D).
        lengths: Valid frames of each, int64, (B,).

    Returns:
        A scalar, the mean over utterances: the squared difference over the teacher's squared value, both summed over
        valid frames; 0 if both are equal, and 1 for a student that outputs zeros.
    """
    valid = (torch.arange(teacher.shape[1], device=teacher.device) < lengths[:, None])[..., None]
    difference = ((student - teacher) * valid).float().square().sum(dim=(1, 2))
    return (difference / (teacher * valid).float().square().sum(dim=(1, 2)).clamp(min=1e-12)).mean()


def keep_top(log_probs: Tensor, top_k: int | None) -> tuple[Tensor, Tensor]:
    """Keep the most probable labels of each frame, renormalised.

    Args:
        log_probs: Log-probabilities, float, (B, T, labels + 1).
        top_k: Labels to keep; `None` keeps all.

    Returns:
        Log-probabilities of the kept labels, float, and the labels, int64, both (B, T, kept).
    """
    kept = log_probs.shape[-1] if top_k is None else min(top_k, log_probs.shape[-1])
    values, labels = log_probs.topk(kept, dim=-1)
    return (values if kept == log_probs.shape[-1] else values.log_softmax(dim=-1)), labels


def expand_top(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Lay out what `keep_top` kept over all labels; the others have probability 0.

    Args:
        values: Log-probabilities, float, (B, T, kept).
        labels: Their labels, int64, (B, T, kept).
        classes: Labels including the blank.

    Returns:
        Log-probabilities, float, (B, T, classes), -inf where nothing was kept.
    """
    full = values.new_full((*values.shape[:2], classes), float("-inf"))
    return full.scatter(-1, labels, values)


def match_frames(teacher: Tensor, lengths: Tensor, student_frames: int, factor: int) -> Tensor:
    """Bring a teacher's probabilities to the frame rate of a student with larger steps.

    A student's frame is blank if all of the teacher's frames that it covers are. The rest of its probability goes to
    the labels in proportion to their sums over these frames. A label of one frame therefore outweighs the blanks beside
    it; a plain mean would give it half.

    Args:
        teacher: Log-probabilities, float, (B, T, labels + 1), blank last.
        lengths: The teacher's valid frames, int64, (B,).
        student_frames: The student's frames, with padding.
        factor: Teacher frames in a student's frame.

    Returns:
        Log-probabilities, float, (B, student_frames, labels + 1).
    """
    if factor == 1:
        return teacher[:, :student_frames]
    covered = student_frames * factor
    probabilities = functional.pad(teacher.exp(), (0, 0, 0, max(0, covered - teacher.shape[1])))[:, :covered]
    valid = torch.arange(covered, device=teacher.device) < lengths[:, None]
    labels, blank = probabilities[..., :-1] * valid[..., None], torch.where(valid, probabilities[..., -1], 1.0)
    labels = labels.unflatten(1, (student_frames, factor)).sum(dim=2)
    blank = blank.unflatten(1, (student_frames, factor)).prod(dim=2)[..., None]
    share = (1 - blank) / labels.sum(dim=-1, keepdim=True).clamp(min=1e-30)
    return torch.cat([labels * share, blank], dim=-1).log()
