"""One head for several languages beside a head for each, on the embedded encoder, which stays frozen.

Heads of one linear layer learn from the same utterances with the same settings. Character error rates on the test
manifests: of a head for each language, of the union's head with all its labels allowed, masked to the language that was
asked for, and masked to the language that it identified; and of a head over the letters of one script, into which the
others are folded. `prepare_data.py` makes the manifests.

    python scripts/benchmarks/several_languages.py hi:train.json:test.json bn:train_bn.json:test_bn.json …
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
from nemo.utils import logging

import nemo_models
from data_prep.manifest import read_manifest, resolve_audio_path
from data_prep.text.alphabet import load_alphabet
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.checkpoints.model_building import model_from_checkpoint
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.evaluation.scoring import score_texts
from nemo_models.files.model_language import make_folding
from nemo_models.inference.log_probs import compute_log_probs

CHECKPOINT = Path(nemo_models.__file__).parent / "xlsr_tiny_hi"
UPDATES, PEAK_LR, BATCH = 160, 0.02, 30  # of the head; utterances in an update
MOST_ROWS = 80  # of each language


@dataclass(frozen=True)
class Utterances:
    """Waveforms at 16 kHz with their texts."""

    waves: list
    texts: list[str]


def main() -> None:
    logging.setLevel(logging.ERROR)
    torch.manual_seed(0)
    given = [argument.split(":") for argument in sys.argv[1:]]
    train, test = ({code: read(paths[at]) for code, *paths in given} for at in (0, 1))
    union = train_head(",".join(train), train)
    for code, utterances in test.items():
        single = train_head(code, {code: train[code]})
        rates = {
            "alone": rate(write(single, utterances), utterances, code),
            "union, all labels": rate(write_with_all_labels(union, utterances), utterances, code),
            "union, language asked for": rate(write(union, utterances, code), utterances, code),
        }
        found = list(nemo_models.transcribe(union, utterances.waves, timestamps=False))
        texts = [one.text for one in sorted(found, key=lambda one: one.index)]
        rates["union, language identified"] = rate(texts, utterances, code)
        shown = ", ".join(f"{name} {100 * value:.1f} %" for name, value in rates.items())
        heard = dict(Counter(one.language for one in found))
        print(f"{code}: CER {shown}; identified {heard} of {len(texts)}", flush=True)
    folded = train_head(",".join(train), train, "devanagari")  # last: the other heads get the same random numbers
    for code, utterances in test.items():
        found_rate = 100 * rate(write(folded, utterances, code), utterances, code)
        print(f"{code}: CER one script, language asked for {found_rate:.1f} %", flush=True)
    print(f"labels: union {len(union.cfg.labels)}, one script {len(folded.cfg.labels)}")


def read(manifest: str) -> Utterances:
    rows = read_manifest(manifest)[:MOST_ROWS]
    waves = [soundfile.read(resolve_audio_path(row["audio_filepath"], manifest), dtype="float32")[0] for row in rows]
    return Utterances(waves, [row["text"] for row in rows])


def train_head(language: str, data: dict[str, Utterances], script: str | None = None) -> XLSRCTCModel:
    """Train a head over the letters of the languages, on the frozen encoder."""
    labels = load_alphabet(language=language, script=script)
    model = model_from_checkpoint(load_checkpoint(str(CHECKPOINT)), labels, language=language, script=script)
    waves = [wave for utterances in data.values() for wave in utterances.waves]
    folding = make_folding(model.cfg)
    texts = [text.translate(folding) for utterances in data.values() for text in utterances.texts]
    features = [encode(model, wave) for wave in waves]
    targets = [torch.tensor([labels.index(character) for character in text]) for text in texts]
    head = model.decoder.decoder_layers[0]
    optimizer = torch.optim.Adam(head.parameters(), lr=PEAK_LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=PEAK_LR, total_steps=UPDATES)
    for _ in range(UPDATES):
        chosen = torch.randperm(len(texts))[:BATCH].tolist()
        frames = torch.nn.utils.rnn.pad_sequence([features[at] for at in chosen], batch_first=True)
        log_probs = head(frames.transpose(1, 2)).permute(2, 0, 1).log_softmax(-1)
        lengths = torch.tensor([len(features[at]) for at in chosen])
        counts = torch.tensor([len(targets[at]) for at in chosen])
        wanted = torch.cat([targets[at] for at in chosen])
        loss = torch.nn.functional.ctc_loss(log_probs, wanted, lengths, counts, blank=len(labels), zero_infinity=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def encode(model: XLSRCTCModel, wave: object) -> torch.Tensor:
    """Return an utterance's features, (T, D)."""
    samples = torch.as_tensor(wave)[None]
    signal, length = model.preprocessor(input_signal=samples, length=torch.tensor([samples.shape[1]]))
    frames, _ = model.encoder(audio_signal=signal, length=length)
    return frames[0].t()


def write(model: XLSRCTCModel, utterances: Utterances, language: str | None = None) -> list[str]:
    found = nemo_models.transcribe(model, utterances.waves, timestamps=False, language=language)
    return [one.text for one in sorted(found, key=lambda one: one.index)]


def write_with_all_labels(model: XLSRCTCModel, utterances: Utterances) -> list[str]:
    """Decode as if the model had one language of all labels."""
    best = [frames.argmax(-1)[None] for frames in compute_log_probs(model, utterances.waves)]
    return [model.decoding.ctc_decoder_predictions_tensor(labels)[0].text for labels in best]


def rate(texts: Sequence[str], utterances: Utterances, code: str) -> float:
    return score_texts(utterances.texts, texts, code).cer


if __name__ == "__main__":
    main()
