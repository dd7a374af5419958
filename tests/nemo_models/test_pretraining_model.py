"""Losses, gradients and updates of the pre-training model equal those of transformers' `Wav2Vec2ForPreTraining`."""

import math
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from nemo.collections.asr.models import ASRModel

from nemo_models.layers.contrastive import Draws
from nemo_models.pretraining_model import XLSRPretrainingModel, find_usable
from pretraining_pair import TEMPERATURE, Batch, make_batch, make_ours, make_theirs, run_theirs

SECONDS = (1.5, 1.1, 0.8)  # there is padding
TOLERANCE = 1e-5  # float32 sums in another order; the losses are compared by masked frame
UPDATES = 20
LEARNING_RATE, WEIGHT_DECAY, CLIP = 1e-3, 0.01, 1.0


@pytest.fixture(scope="module")
def theirs():
    return make_theirs()


def compute_ours(model: XLSRPretrainingModel, batch: Batch) -> Any:
    return model.compute_loss(batch.signal, batch.lengths, batch.mask, batch.our_draws())


def test_losses_and_every_gradient_equal_those_of_transformers(theirs):
    batch, ours = make_batch(SECONDS), make_ours(theirs)
    expected, found = run_theirs(theirs, batch), compute_ours(ours, batch)
    masked = int(batch.mask.sum())
    assert int(found.masked) == masked
    for name in ("loss", "contrastive_loss", "diversity_loss"):
        value = getattr(found, name.removesuffix("_loss"))
        assert float(value) / masked == pytest.approx(float(getattr(expected, name)) / masked, abs=TOLERANCE)
    assert float(found.probability_perplexity.sum()) == pytest.approx(float(expected.codevector_perplexity), rel=1e-5)
    theirs.zero_grad()
    (expected.loss / masked).backward()
    (found.loss / masked).backward()
    gradients = {name.removeprefix("wav2vec2."): weight.grad for name, weight in theirs.named_parameters()}
    own = {**dict(ours.encoder.network.named_parameters()), **dict(ours.objective.named_parameters())}
    assert set(own) == set(gradients)
    largest = []
    for name, weight in own.items():
        torch.testing.assert_close(weight.grad, gradients[name], rtol=TOLERANCE, atol=TOLERANCE, msg=name)
        largest.append(float(gradients[name].abs().max()))
    assert sum(value > 100 * TOLERANCE for value in largest) > 0.7 * len(largest)  # most gradients are not near 0


@pytest.mark.slow
def test_twenty_updates_equal_those_of_transformers_with_adamw():
    """In our trainer, with clipping, against a plain loop whose gradient is the mean over masked frames."""
    theirs = make_theirs(seed=1)
    batches = [make_batch(SECONDS, seed) for seed in range(UPDATES)]
    losses: list[float] = []

    class Given(XLSRPretrainingModel):
        def compute_loss(self, signal, lengths, *_, **__):
            output = super().compute_loss(signal, lengths, batches[len(losses)].mask, batches[len(losses)].our_draws())
            losses.append(float(output.loss) / int(output.masked))
            return output

    optimizer = {"name": "adamw", "lr": LEARNING_RATE, "betas": [0.9, 0.98], "eps": 1e-6, "weight_decay": WEIGHT_DECAY}
    trainer = make_trainer(gradient_clip_val=CLIP, max_steps=UPDATES)
    ours = make_ours(theirs, trainer, optim=optimizer)
    ours.__class__ = Given
    rows = [(batch.signal, batch.lengths) for batch in batches]
    trainer.fit(ours, train_dataloaders=torch.utils.data.DataLoader(rows, batch_size=None))
    expected = train_plainly(theirs, batches)
    assert len(losses) == UPDATES and expected[-1] < expected[0] - 0.1  # the model has learned
    assert losses == pytest.approx(expected, abs=1e-4)  # float32 sums in another order, carried on by Adam


def make_trainer(**settings: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )


def train_plainly(model: Any, batches: list[Batch]) -> list[float]:
    vectors = [weight for weight in model.parameters() if weight.squeeze().ndim < 2]
    matrices = [weight for weight in model.parameters() if weight.squeeze().ndim >= 2]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98), eps=1e-6)
    losses = []
    for batch in batches:
        loss = run_theirs(model, batch).loss / int(batch.mask.sum())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        losses.append(loss.item())
    return losses


def part_of(batch: Batch, rows: slice) -> tuple[Batch, Draws]:
    """Some utterances of a batch; negatives are numbered within each utterance, so only the draws are cut."""
    part = Batch(batch.signal[rows], batch.lengths[rows], batch.mask[rows], batch.negatives[rows], batch.noise[rows])
    counts = batch.mask.sum(1)
    first, last = int(counts[: rows.start].sum()), int(counts[: rows.stop].sum())
    return part, Draws(batch.noise[rows][part.mask], batch.our_draws().negatives[first:last])


@pytest.mark.parametrize("diversity_weight", [0.0, 0.1])
def test_eight_utterances_give_one_gradient_as_one_batch_and_as_two_of_four(diversity_weight: float):
    """Masked frames differ between the halves. The diversity loss is each micro-batch's own, weighted by its frames."""
    theirs = make_theirs(seed=2)
    whole = make_batch((0.7, 0.8, 0.6, 0.9, 1.6, 1.8, 1.7, 1.9))
    halves = [part_of(whole, slice(0, 4)), part_of(whole, slice(4, 8))]
    assert int(halves[1][0].mask.sum()) > 1.5 * int(halves[0][0].mask.sum())
    found = [take_step(theirs, parts, diversity_weight) for parts in ([part_of(whole, slice(0, 8))], halves)]
    if diversity_weight:
        reference = make_ours(theirs, objective={"diversity_weight": diversity_weight})
        outputs = [reference.compute_loss(part.signal, part.lengths, part.mask, draws) for part, draws in halves]
        (sum(output.loss for output in outputs) / int(whole.mask.sum())).backward()
        found[0] = {name: weight.grad for name, weight in reference.named_parameters()}
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-4, atol=1e-6, msg=name)  # sums in another order


def take_step(theirs: Any, parts: list[tuple[Batch, Draws]], diversity_weight: float) -> dict[str, torch.Tensor]:
    """Make one update of accumulated micro-batches in the trainer; return its gradients."""
    gradients: dict[str, torch.Tensor] = {}
    calls = iter(parts)

    class Given(XLSRPretrainingModel):
        def compute_loss(self, signal, lengths, *_, **__):
            part, draws = next(calls)
            return super().compute_loss(signal, lengths, part.mask, draws)

        def on_before_zero_grad(self, optimizer):
            found = {name: weight.grad.clone() for name, weight in self.named_parameters() if weight.grad is not None}
            gradients.update(found)

        def optimizer_step(self, *args, **kwargs):
            super().optimizer_step(*args, **kwargs)
            self.on_before_zero_grad(None)

    trainer = make_trainer(max_steps=1, accumulate_grad_batches=len(parts))
    ours = make_ours(
        theirs, trainer, optim={"name": "sgd", "lr": 0.1}, objective={"diversity_weight": diversity_weight}
    )
    ours.__class__ = Given
    rows = [(part.signal, part.lengths) for part, _ in parts]
    trainer.fit(ours, train_dataloaders=torch.utils.data.DataLoader(rows, batch_size=None))
    return gradients


def test_silent_and_damaged_recordings_change_nothing(theirs):
    """Beside good ones: the loss and the gradient are those of the good ones alone."""
    batch, ours = make_batch((1.0, 1.0, 1.0)), make_ours(theirs)
    good, draws = part_of(batch, slice(0, 1))
    expected = ours.compute_loss(good.signal, good.lengths, good.mask, draws)
    expected.loss.backward()
    gradients = {name: weight.grad.clone() for name, weight in ours.named_parameters()}
    ours.zero_grad()
    signal = batch.signal.clone()
    signal[1], signal[2, 77] = 0.0, math.nan
    found = ours.compute_loss(signal, batch.lengths, batch.mask, draws)
    found.loss.backward()
    assert ours.unusable is not None and ours.unusable.tolist() == [False, True, True]
    assert float(found.loss) == pytest.approx(float(expected.loss), rel=1e-5)
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, gradients[name], rtol=1e-4, atol=1e-4, msg=name)  # sums of about 100
    assert find_usable(torch.tensor([[0.5, 0.5], [0.0, math.inf], [0.1, -0.1]])).tolist() == [False, False, True]


def test_batch_without_a_masked_frame_has_loss_zero_and_finite_gradients(theirs):
    ours = make_ours(theirs)
    output = ours.compute_loss(torch.randn(2, 1200), torch.tensor([1200, 1000]))  # shorter than a span
    assert (int(output.masked), float(output.loss)) == (0, 0.0)
    output.loss.backward()
    assert all(weight.grad is None or bool(weight.grad.isfinite().all()) for weight in ours.parameters())


def test_temperature_falls_with_the_updates_to_its_end(theirs):
    ours = make_ours(theirs, gumbel_temperature={"start": 2.0, "end": 0.5, "decay": 0.9})
    assert ours.temperature == 2.0
    seen = []
    for step in (0, 1, 2, 100):
        ours._trainer = type("Trainer", (), {"global_step": step})()
        seen.append(ours.temperature)
    assert seen == pytest.approx([2.0, 1.8, 1.62, 0.5])
    assert make_ours(theirs).temperature == TEMPERATURE


def test_saved_model_restores_every_tensor(theirs, tmp_path):
    ours = make_ours(theirs)
    ours.save_to(str(tmp_path / "x.nemo"))
    restored = ASRModel.restore_from(str(tmp_path / "x.nemo"), map_location="cpu")
    assert isinstance(restored, XLSRPretrainingModel)
    for name, value in ours.state_dict().items():
        assert torch.equal(restored.state_dict()[name], value)
