"""The settings of data preparation: declared once in code, listed once in YAML, checked once."""

import inspect
from dataclasses import MISSING, fields

import pytest
from omegaconf import OmegaConf

from data_prep.job_settings import read_settings
from data_prep.prepare.export_shards import export_shards
from data_prep.prepare.settings import PrepareSettings
from data_prep.prepare.validation import check_manifest
from data_prep.selection.quality import QualityLimits
from project import ROOT


def read_yaml(name: str) -> dict:
    values = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / f"{name}.yaml"))
    return {key: value for key, value in values.items() if key != "defaults"}


def list_defaults(kind: type) -> dict:
    """Names and defaults of a dataclass, as YAML holds them."""
    found = {each.name: each.default for each in fields(kind) if each.default_factory is MISSING}
    return {name: "???" if value is MISSING else value for name, value in found.items()}


def test_the_yaml_lists_every_setting_with_its_default():
    lists = {"dev_speakers": [], "test_speakers": []}
    assert read_yaml("prepare_data") == {**list_defaults(PrepareSettings), **lists}


@pytest.mark.parametrize(
    ("name", "function", "beside"),
    [("check_manifest", check_manifest, {"faults", "max_examples"}), ("export_shards", export_shards, set())],
)
def test_the_yaml_lists_every_argument_with_its_default(name, function, beside):
    parameters = inspect.signature(function).parameters.values()
    expected = {each.name: "???" if each.default is each.empty else each.default for each in parameters}
    if expected.pop("limits", None):
        expected |= list_defaults(QualityLimits)
    assert {key: value for key, value in read_yaml(name).items() if key not in beside} == expected


def make(**arguments) -> PrepareSettings:
    return read_settings(PrepareSettings, {"corpus": "tsv", "corpus_dir": "in", "output_dir": "out", **arguments})


def test_the_earlier_name_of_unit_size_is_taken():
    assert make(shard_size=7).unit_size == 7 and make(shard_size=None).unit_size == 100


@pytest.mark.parametrize(
    ("given", "expected"), [("sita", ["sita"]), (7, ["7"]), (["a", 8], ["a", "8"]), ([], []), (None, [])]
)
def test_speakers_are_one_name_or_several(given, expected):
    assert make(dev_speakers=given).listed_speakers == {"dev": expected, "test": []}


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"unit_size": 0}, "unit_size=0: expected a whole number, 1 or more"),
        ({"channel": "left"}, "channel=left: expected auto, average, a channel number from 0, or null"),
        ({"duplicate_audio": "drop"}, "duplicate_audio=drop: expected one of reject, keep"),
        ({"engine": "spark"}, "engine=spark: expected one of local, ray"),
        ({"annotations": "drop"}, "annotations=drop: expected one of reject, strip, keep"),
        ({"dev_speakers": "a", "test_speakers": ["a"]}, "dev_speakers, test_speakers: found a in both"),
        ({"max_clipped": 2}, "max_clipped=2: expected a share from 0 to 1"),
    ],
)
def test_a_setting_out_of_range_is_named(arguments, fault):
    with pytest.raises(ValueError, match=fault):
        make(**arguments)
