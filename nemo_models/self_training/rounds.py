"""Rounds of self-training: label, learn from the labels, label again with what was learnt."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from data_prep.atomic import atomic_path
from data_prep.job_keys import hash_file, make_key, stat_file
from data_prep.manifest import read_manifest, resolve_audio_path, write_jsonl
from nemo_models.decoding.lm_bundle import extract_language_model, keep_language_model
from nemo_models.decoding.strategy import configure_decoding
from nemo_models.files.nemo_file import read_nemo_config
from nemo_models.inference.model_loading import load_ctc_model
from nemo_models.self_training.pseudo_labels import label_audio
from nemo_models.self_training.settings import PseudoLabelSettings

# Function that runs `speech_to_text_finetune.py` with these arguments, and raises an error if it fails.
FineTune = Callable[[Sequence[str]], None]
STUDENT = "student"  # name of each round's run
# Settings that change no label: with others of them a finished round is still finished.
NOT_KEYED = ("output", "rounds", "batch_size", "num_workers", "prepare_workers", "devices", "engine", "address", "cuda")


def run_rounds(
    settings: PseudoLabelSettings, fine_tune: FineTune, tell: Callable[[int, dict[str, Any] | None], None]
) -> Path:
    """Run all rounds; those that an earlier run finished are not run again.

    Each round labels the audio with the last round's model, and trains that model further on the labelled data and the
    labels. The next model takes over the language model and the decoding settings of the first one. A round lies in
    `round_N_KEY` of the files' folder; the key follows from all that the round depends on.

    Args:
        settings: All arguments.
        fine_tune: Runs a fine-tuning.
        tell: Called after each round with its number and its report; `None` if an earlier run finished it.

    Returns:
        The last model; the labels that it learnt from are at `output`.

    Raises:
        FileNotFoundError: A model, manifest or folder does not exist.
        ValueError: An argument is out of range, a round keeps no label, or the fine-tuning fails.
    """
    if settings.model_path is None:
        raise ValueError(f"rounds={settings.rounds}: expected a .nemo file to train further; give model_path")
    model = settings.model_path
    key = make_key(hash_file(model), _describe(settings))
    for number in range(1, settings.rounds + 1):
        key = make_key(key, number)
        folder = settings.files_dir / f"round_{number}_{key[:12]}"
        here = replace(settings, model_path=model, output=folder / settings.output.name, rounds=0)
        student, report = folder / "model.nemo", None
        if not student.is_file():
            report = label_audio(here)
            fine_tune(list_arguments(here, folder))
            trained = folder / "exp" / STUDENT / "checkpoints" / f"{STUDENT}.nemo"
            pass_on_decoding(model, trained, student)
        model = student
        tell(number, report)
    _copy_manifest(here.output, settings.output)
    return model


def list_arguments(settings: PseudoLabelSettings, folder: Path) -> list[str]:
    """List the arguments of a round's fine-tuning.

    Args:
        settings: Those of the round; `model_path` is the model to train further, `output` the labels.
        folder: The round's folder.
    """
    own, weight = settings.fine_tuning, settings.fine_tuning.labelled_weight
    parts = [(settings.output, 1.0 if own.train_manifest is None else 1.0 - weight)]
    parts += [(own.train_manifest, weight)] if own.train_manifest else []
    data = [f"{{type:nemo,manifest_filepath:{_quote(path)},weight:{share:.6g}}}" for path, share in parts]
    return [
        *("--config-name", own.recipe, f"name={STUDENT}", f"exp_manager.exp_dir={_quote(folder / 'exp')}"),
        f"init_from_checkpoint={_quote(settings.model_path)}",  # its encoder and their settings
        f"+init_from_nemo_model={_quote(settings.model_path)}",  # and its head
        *([f"language={settings.language}"] if settings.language else []),
        "model.freeze_updates.enabled=false",  # the head has learnt already
        "model.train_ds.manifest_filepath=null",
        f"model.train_ds.input_cfg=[{','.join(data)}]",
        f"model.validation_ds.manifest_filepath={_quote(own.validation_manifest)}",
        *_list_leaves(own.arguments),
    ]


def pass_on_decoding(teacher: Path, trained: Path, student: Path) -> None:
    """Write a trained model with the language model and the decoding settings that its teacher bundles, if any.

    Args:
        teacher: The model that wrote the labels.
        trained: The model that learnt from them.
        student: The `.nemo` file to write.
    """
    with atomic_path(student) as temporary, tempfile.TemporaryDirectory() as folder:
        lm = extract_language_model(teacher, Path(folder))
        if lm is None:
            os.link(trained, temporary)
            return
        decoding = read_nemo_config(teacher)["decoding"]
        beam = {key: decoding["beam"][key] for key in ("beam_size", "ngram_lm_alpha", "beam_beta")}
        model = load_ctc_model(trained)
        kept = str(keep_language_model(lm))
        configure_decoding(model, {"strategy": decoding["strategy"], "beam": {**beam, "ngram_lm_model": kept}})
        model.save_to(str(temporary))


def _describe(settings: PseudoLabelSettings) -> dict[str, Any]:
    """Return what all rounds depend on beside the first model, with sizes and times of the manifests."""
    values = {name: value for name, value in asdict(settings).items() if name not in (*NOT_KEYED, "model_path")}
    own = settings.fine_tuning
    named = [settings.dataset_manifest, own.train_manifest, own.validation_manifest, *settings.filters.evaluation]
    values["stats"] = [stat_file(path) for path in named if path is not None]
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain


def _copy_manifest(source: Path, output: Path) -> None:
    """Copy a manifest to another folder; relative paths of audio become absolute."""
    rows = read_manifest(source)
    write_jsonl(
        output, ({**row, "audio_filepath": str(resolve_audio_path(row["audio_filepath"], source))} for row in rows)
    )


def _list_leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield a tree of settings as Hydra's arguments."""
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _list_leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}={_quote(value) if isinstance(value, str) else json.dumps(value)}"


def _quote(path: Path | str | None) -> str:
    """Write a text, or a path without its current folder, as one of Hydra's quoted values."""
    text = str(path.resolve()) if isinstance(path, Path) else path
    return "null" if text is None else '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
