"""The data of a training on several languages: how often each is heard, and validation that knows each row's language.

Each utterance comes from language l with probability ∝ hours(l) ** exponent. XLSR-53 was pre-trained so, with 0.5
(Conneau et al. 2021, "Unsupervised Cross-lingual Representation Learning for Speech Recognition"); IndicWav2Vec took
0.7. NeMo does the sampling: a group for each language, and its `reweight_temperature`, which is this exponent.
"""

import logging
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from data_prep.arguments import require_number
from data_prep.languages.union import find_member, is_several, language_of_row, name_languages
from nemo_models.training.sources import list_sources

logger = logging.getLogger(__name__)
SECONDS_IN_HOUR = 3600


def arrange_languages(cfg: DictConfig) -> None:
    """Arrange the data of a training on several languages; that of one language stays as it is.

    Args:
        cfg: The whole configuration, changed in place: `model.train_ds.input_cfg`, which NeMo reads in place of
            `manifest_filepath`, and `model.validation_ds`, which becomes one dataset. Where neither Lhotse nor tar
            files make it, it gives each row's number.

    Raises:
        FileNotFoundError: A manifest is missing.
        ValueError: The exponent is out of range, a manifest holds several languages, or a language has no data.
    """
    if not is_several(cfg.language):
        return
    require_number("language_exponent", cfg.language_exponent, least=0, most=1)
    with open_dict(cfg):
        _arrange_validation(cfg.model.validation_ds)
        if cfg.language_exponent != 1 and cfg.model.train_ds.get("input_cfg") is None:
            groups = _group_by_language(cfg.model.train_ds, list(name_languages(cfg.language)), cfg.language_exponent)
            cfg.model.train_ds.input_cfg = groups
            cfg.model.train_ds.reweight_temperature = [float(cfg.language_exponent), 1.0]


def _arrange_validation(dataset: DictConfig) -> None:
    """Make one dataset of several manifests: NeMo would take the error rate of the first for that of all."""
    paths = dataset.get("manifest_filepath")
    if isinstance(paths, ListConfig) and all(isinstance(path, str) for path in paths):
        dataset.manifest_filepath = ",".join(paths)
    is_one_dataset = isinstance(dataset.get("manifest_filepath"), str)
    if is_one_dataset and not dataset.get("use_lhotse") and not dataset.get("tarred_audio_filepaths"):
        dataset.return_sample_id = True


def _group_by_language(dataset: DictConfig, codes: Sequence[str], exponent: float) -> list[dict[str, Any]]:
    """Return NeMo's `input_cfg`: a group for each language, weighted by its hours."""
    if dataset.get("shar_path"):
        raise ValueError(
            f"language_exponent={exponent}: expected 1 with model.train_ds.shar_path, for only manifests are weighted"
        )
    groups: dict[str, dict[str, Any]] = {}
    for manifest, tar in _pair_entries(dataset):
        code, rows, seconds = _measure(manifest, tar, codes, exponent)
        kind = {"type": "nemo"} if tar is None else {"type": "nemo_tarred", "tarred_audio_filepaths": tar}
        group = groups.setdefault(code, {"type": "group", "weight": 0.0, "input_cfg": []})
        group["weight"] += seconds / SECONDS_IN_HOUR
        group["input_cfg"].append({**kind, "manifest_filepath": manifest, "weight": rows})
    for code in codes:
        if code not in groups:
            raise ValueError(
                f"language={','.join(codes)}: found no row of {code} in model.train_ds, expected some of each; add its "
                "manifest, or remove it"
            )
    powers = {code: group["weight"] ** exponent for code, group in groups.items()}
    for code, group in groups.items():
        share = powers[code] / sum(powers.values())
        logger.info("language %s: %.2f h, %.1f %% of the utterances", code, group["weight"], 100 * share)
    return list(groups.values())


def _pair_entries(dataset: DictConfig) -> list[tuple[str, str | None]]:
    """Return each manifest, or pattern of them, with its tar file, or pattern of them."""
    manifests, tars = (_list_entries(dataset.get(key)) for key in ("manifest_filepath", "tarred_audio_filepaths"))
    if tars and len(tars) != len(manifests):
        raise ValueError(
            f"model.train_ds: found {len(manifests)} items in manifest_filepath and {len(tars)} in "
            "tarred_audio_filepaths, expected as many; give a tar file, or a pattern of them, for each"
        )
    return [(manifest, tars[at] if tars else None) for at, manifest in enumerate(manifests)]


def _list_entries(value: Any) -> list[str]:
    """Return the paths in NeMo's forms: `a,b`, `[a, b]` or `[[a], [b]]`."""
    if isinstance(value, ListConfig):
        return [path for item in value for path in _list_entries(item)]
    return [] if value is None else str(value).split(",")


def _measure(manifest: str, tar: str | None, codes: Sequence[str], exponent: float) -> tuple[str, int, float]:
    """Return language, rows and seconds of a manifest; a language that is not among `codes` is found by the checks."""
    found: set[str] = set()
    rows, seconds = 0, 0.0
    for source in list_sources(OmegaConf.create({"manifest_filepath": manifest, "tarred_audio_filepaths": tar})):
        for row in source.read():
            code = language_of_row(row)
            found.add(find_member(codes, code) or code)
            rows, seconds = rows + 1, seconds + row["duration"]
    if len(found) != 1:
        several = " and ".join(sorted(found)) or "none"
        raise ValueError(
            f"{manifest}: found rows of {several}, expected one language in a manifest with language_exponent="
            f"{exponent}; write one for each language, or set language_exponent=1"
        )
    return found.pop(), rows, seconds
