"""Manifests that begin with a byte order mark, in each of NeMo's readers."""

import json
from pathlib import Path

import pytest
from lhotse.lazy import LazyJsonlIterator
from nemo.collections.common.data.lhotse import nemo_adapters
from nemo.collections.common.data.lhotse.nemo_adapters import LazyNeMoIterator, LazyNeMoTarredIterator
from nemo.collections.common.parts.preprocessing import manifest

from data_prep.prepare.export_shards import export_shards
from data_prep.text.alphabet import load_alphabet
from nemo_models.ctc_model import XLSRCTCModel
from nemo_models.training_data.byte_order_marks import byte_order_marks_skipped
from training_job import SETTINGS, compose, write_data

MARK = b"\xef\xbb\xbf"


def add_mark(path: Path) -> Path:
    path.write_bytes(MARK + path.read_bytes())
    return path


@pytest.fixture
def data(tmp_path: Path) -> dict[str, str]:
    data = write_data(tmp_path, utterances=4)
    for name in set(data.values()):
        add_mark(Path(name))
    return data


def test_training_and_validation_read_marked_manifests_with_lhotse_and_without(data: dict[str, str]):
    settings = {**SETTINGS, **data, "exp_manager.exp_dir": "unused"}
    cfg = compose([f"{key}={value}" for key, value in settings.items()])
    cfg.model.labels = load_alphabet()
    assert cfg.model.train_ds.use_lhotse and not cfg.model.validation_ds.get("use_lhotse")
    model = XLSRCTCModel(cfg=cfg.model)
    assert len(next(iter(model._train_dl))[0]) > 0
    assert sum(len(batch[0]) for batch in model._validation_dl) == 4


def test_marked_shards_are_read(data: dict[str, str], tmp_path: Path):
    source = Path(data["model.train_ds.manifest_filepath"])
    export_shards(source, tmp_path / "out", num_shards=2, num_workers=1)
    manifests = sorted((tmp_path / "out/tarred").glob("sharded_manifests/*.json"))
    tars = sorted((tmp_path / "out/tarred").glob("audio_*.tar"))
    assert len(manifests) == len(tars) == 2
    with byte_order_marks_skipped():
        cuts = LazyNeMoTarredIterator([str(add_mark(path)) for path in manifests], [str(path) for path in tars])
    assert len(list(cuts)) == 4  # read after the block


def test_nemo_is_as_before_after_the_block(data: dict[str, str]):
    with byte_order_marks_skipped():
        pass
    assert nemo_adapters.LazyJsonlIterator is LazyJsonlIterator and "open" not in vars(manifest)
    with pytest.raises(json.JSONDecodeError, match="BOM"):
        next(iter(LazyNeMoIterator(data["model.train_ds.manifest_filepath"])))
