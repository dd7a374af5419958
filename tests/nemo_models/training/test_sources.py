"""Missing and damaged shards are named before training."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from omegaconf import DictConfig, OmegaConf

from data_prep.manifest import write_jsonl
from data_prep.prepare.export_shards import export_shards
from nemo_models.training.sources import list_sources


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    for name in "abcd":
        soundfile.write(folder / f"{name}.wav", np.random.default_rng(0).normal(scale=0.1, size=8000), 16000)
    write_jsonl(folder / "t.json", [{"audio_filepath": f"{x}.wav", "duration": 0.5, "text": "काम"} for x in "abcd"])
    for kind in ("tarred", "shar"):
        export_shards(folder / "t.json", folder, kind, num_shards=2, num_workers=1)
    return folder


@pytest.fixture
def shar(exported: Path, tmp_path: Path) -> Path:
    for path in (exported / "shar").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def tarred(folder: Path, manifests: object, tars: object) -> DictConfig:
    def complete(name: object, start: str) -> object:
        return [complete(item, start) for item in name] if isinstance(name, list) else f"{folder}/tarred/{start}{name}"

    return OmegaConf.create(
        {
            "manifest_filepath": complete(manifests, "sharded_manifests/manifest_"),
            "tarred_audio_filepaths": complete(tars, "audio_"),
        }
    )


def test_shards_that_are_complete_are_listed(exported: Path, shar: Path):
    assert [len(list(source.read())) for source in list_sources(OmegaConf.create({"shar_path": str(shar)}))] == [2, 2]
    for manifests, tars in (
        ("_OP_0..1_CL_.json", "_OP_0..1_CL_.tar"),
        ([["0.json"], ["1.json"]], [["0.tar"], ["1.tar"]]),
        ([["0.json"], ["_OP_0..1_CL_.json"]], [["0.tar"], ["_OP_0..1_CL_.tar"]]),
    ):
        assert len(list_sources(tarred(exported, manifests, tars))) >= 2


def test_the_parts_of_a_mixture_are_listed(exported: Path, tmp_path: Path):
    part = {"type": "nemo", "manifest_filepath": f"{exported}/t.json", "weight": 0.5}
    group = {"type": "group", "input_cfg": [{"type": "lhotse_shar", "shar_path": f"{exported}/shar"}], "weight": 0.5}
    mixture = OmegaConf.create({"input_cfg": [part, group]})
    OmegaConf.save(mixture.input_cfg, tmp_path / "parts.yaml")
    for dataset in (mixture, OmegaConf.create({"input_cfg": str(tmp_path / "parts.yaml")})):
        assert [len(list(source.read())) for source in list_sources(dataset)] == [4, 2, 2]


@pytest.mark.parametrize(
    ("manifests", "tars", "message"),
    [
        ("_OP_0..1_CL_.json", "0.tar", r"manifest_1\.json: found no tar file with this number"),
        (
            [["0.json"], ["_OP_0..1_CL_.json"]],
            [["0.tar"], ["1.tar"]],
            r"manifest_0\.json: found no tar file with this number",
        ),
        ([["0.json"], ["1.json"]], [["0.tar"]], "manifest_filepath has 2 items, tarred_audio_filepaths 1"),
    ],
)
def test_manifests_without_their_tar_files_are_named(exported: Path, manifests: object, tars: object, message: str):
    with pytest.raises(ValueError, match=message):
        list_sources(tarred(exported, manifests, tars))


def test_a_missing_part_of_a_shar_shard_is_named(shar: Path):
    (shar / "recording.000001.tar").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"recording\.000001\.\*: no such file, expected it beside cuts\.000001\.jsonl\.gz"
    ):
        list_sources(OmegaConf.create({"shar_path": str(shar)}))


@pytest.mark.parametrize("name", ["recording.000002.tar", "README.md", "notes"])
def test_a_file_that_belongs_to_no_shar_shard_is_named(shar: Path, name: str):
    (shar / name).write_bytes(b"")
    with pytest.raises(ValueError, match=f"{name}: found no cuts"):
        list_sources(OmegaConf.create({"shar_path": str(shar)}))


@pytest.mark.parametrize("broken", ["short", "damaged", "not compressed"])
def test_broken_compression_is_named(shar: Path, broken: str):
    path = shar / "cuts.000000.jsonl.gz"
    whole = path.read_bytes()
    path.write_bytes({"short": whole[:150], "damaged": whole[:60] + b"\xff" * 60, "not compressed": b"{}"}[broken])
    with pytest.raises(ValueError, match=r"cuts\.000000\.jsonl\.gz: found damaged gzip data .*copy the file again"):
        list(list_sources(OmegaConf.create({"shar_path": str(shar)}))[0].read())


def test_a_compressed_line_is_named_like_any_other(shar: Path):
    path = shar / "cuts.000000.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps({"id": "a", "duration": None, "supervisions": []}).encode()))
    with pytest.raises(ValueError, match=r"cuts\.000000\.jsonl\.gz:1: found duration null, expected a number"):
        list(list_sources(OmegaConf.create({"shar_path": str(shar)}))[0].read())
