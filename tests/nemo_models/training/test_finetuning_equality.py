"""Twenty updates by this recipe in NeMo's trainer have the losses of transformers' model with torch's AdamW."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from omegaconf import DictConfig
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

from data_prep.text.alphabet import load_alphabet
from nemo_models.ctc_model import XLSRCTCModel
from recipe import load_recipe
from topology import architecture

pytestmark = pytest.mark.slow

UPDATES = 20
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01
CLIP = 1.0
TOLERANCE = 1e-3  # of the loss: float32 sums in another order, carried on by Adam's division; 1.4e-6 was seen
TEXTS = ("आज मौसम अच्छा है", "मुझे पानी दीजिए", "कल हम गाँव जाएँगे", "बच्चे खेल रहे हैं")


class Losses(Callback):
    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index) -> None:
        self.values.append(float(outputs["loss"]))


@pytest.fixture(scope="module")
def theirs() -> Wav2Vec2ForCTC:
    """transformers' model with random weights; the pad token is the blank, and comes last as in NeMo."""
    torch.manual_seed(0)
    labels = load_alphabet()
    config = Wav2Vec2Config(
        **architecture(),
        vocab_size=len(labels) + 1,
        pad_token_id=len(labels),
        ctc_loss_reduction="sum",
        ctc_zero_infinity=True,
        apply_spec_augment=False,
        layerdrop=0.0,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        final_dropout=0.0,
    )
    model = Wav2Vec2ForCTC(config)
    model.freeze_feature_encoder()
    return model.train()


def recipe() -> DictConfig:
    """The shipped recipe at a small width, without randomness and without a schedule."""
    config = load_recipe("xlsr_hi")
    model = config.model
    model.labels = load_alphabet()
    model.train_ds = model.validation_ds = None
    model.encoder.architecture = architecture()
    for key in ("mask_time_prob", "mask_feature_prob", "layerdrop", "activation_dropout"):
        model.encoder[key] = 0.0
    model.preprocessor.epsilon = 1e-7  # the value of transformers' feature extractor
    model.ctc_reduction = "sum"
    model.freeze_updates.enabled = False
    model.optim_param_groups = {}
    model.optim.update(lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    del model.optim.sched
    return config


def batches(speech: list[np.ndarray]) -> Iterator[tuple[list[np.ndarray], list[list[int]]]]:
    """Pairs of different lengths, so that there is padding."""
    labels = load_alphabet()
    for update in range(UPDATES):
        pair = (update % 4, (update + 2) % 4)
        yield [speech[index] for index in pair], [[labels.index(letter) for letter in TEXTS[index]] for index in pair]


def pad(rows: list, filler: float, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    tensors = [torch.as_tensor(row, dtype=dtype) for row in rows]
    lengths = torch.tensor([len(row) for row in rows])
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=filler), lengths


def train_theirs(model: Wav2Vec2ForCTC, speech: list[np.ndarray]) -> list[float]:
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    vectors = [parameter for parameter in model.parameters() if parameter.squeeze().ndim < 2]
    matrices = [parameter for parameter in model.parameters() if parameter.squeeze().ndim >= 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}],
        lr=LEARNING_RATE,
        betas=(0.9, 0.98),
        eps=1e-8,
    )
    losses = []
    for waves, tokens in batches(speech):
        inputs = extractor(waves, sampling_rate=16000, padding=True, return_tensors="pt")
        labels, _ = pad(tokens, -100, torch.int64)
        loss = model(**inputs, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def train_ours(config: DictConfig, weights: dict[str, torch.Tensor], speech: list[np.ndarray]) -> list[float]:
    losses = Losses()
    trainer = Trainer(
        max_steps=UPDATES,
        gradient_clip_val=config.trainer.gradient_clip_val,
        accelerator="cpu",
        precision="32-true",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[losses],
    )
    model = XLSRCTCModel(cfg=config.model, trainer=trainer)
    prefix = "wav2vec2."
    model.encoder.network.load_state_dict(
        {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
    )
    head = model.decoder.decoder_layers[0]
    with torch.no_grad():
        head.weight.copy_(weights["lm_head.weight"][..., None])
        head.bias.copy_(weights["lm_head.bias"])
    rows = [(*pad(waves, 0.0, torch.float32), *pad(tokens, 0, torch.int64)) for waves, tokens in batches(speech)]
    trainer.fit(model, train_dataloaders=torch.utils.data.DataLoader(rows, batch_size=None))
    return losses.values


def test_twenty_updates_give_the_losses_of_transformers(theirs: Wav2Vec2ForCTC, speech: list[np.ndarray]):
    config = recipe()
    assert config.trainer.gradient_clip_val == CLIP
    weights = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
    ours = train_ours(config, weights, speech)
    expected = train_theirs(theirs, speech)
    assert len(ours) == len(expected) == UPDATES
    assert (
        expected[18] < 0.6 * expected[0]
    )  # the same pair again: the model has learned, so equal losses mean something
    np.testing.assert_allclose(ours, expected, rtol=TOLERANCE)
