"""What tests share: where real data lies, and a model that is small, random and always the same."""

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from lm_text import lm_lines
from project import ROOT
from same_start import reset_process
from topology import architecture
from warm_python import ONE_THREAD, WarmPython, start_warm_python

os.environ.update(ONE_THREAD)  # before numpy and torch are imported


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parameter by plain data only; pytest numbers the others, so that ids are alike in every process."""
    if isinstance(val, str):
        return val if re.fullmatch(r"[\w .=/-]{1,60}", val, re.ASCII) else argname
    return None if isinstance(val, bool | int | float | None) else argname


settings.register_profile("same_examples_each_time", derandomize=True)
settings.load_profile("same_examples_each_time")


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark what runs scripts as slow; put files with many slow tests first, in which order xdist gives them to workers.

    A long file that starts last would keep one worker busy while the others have ended.
    """
    for item in items:
        if "warm_python" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")
    yield  # here `-m "not slow"` takes effect
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (-slow[item.path], -tests[item.path]))  # stable: the order in a file stays


@pytest.fixture(autouse=True)
def same_start_in_any_order() -> None:
    """Nothing depends on what the tests before have left."""
    reset_process()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real speech, text and checkpoint oracles that are not part of the project."""
    folder = Path(os.environ.get("HINDI_ASR_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set HINDI_ASR_DATA")
    return folder


@pytest.fixture(scope="session")
def warm_python() -> Iterator[WarmPython]:
    """A Python that has imported NeMo: runs scripts 9 s of CPU sooner than a new process."""
    with tempfile.TemporaryDirectory() as folder, start_warm_python(Path(folder)) as server:  # a short path
        yield server


@pytest.fixture(scope="session")
def tiny_model():
    """An `XLSRCTCModel` over the Hindi alphabet with random weights: its texts are noise, but reproducible noise."""
    import torch

    from data_prep.text.alphabet import load_alphabet
    from nemo_models.checkpoints.model_building import model_config
    from nemo_models.ctc_model import XLSRCTCModel

    torch.manual_seed(0)
    model = XLSRCTCModel(cfg=model_config(architecture(), load_alphabet(), normalize=True, epsilon=1e-5)).eval()
    torch.nn.init.normal_(model.decoder.decoder_layers[0].weight, std=0.5)  # log-probs that differ between frames
    return model


@pytest.fixture(scope="session")
def speech(shared_data: Path) -> list:
    """Four real utterances of unlike length, float32 at 16 kHz, longest 10 s."""
    import soundfile

    files = sorted((shared_data / "mucs_hindi" / "audio").glob("*.wav"))[:40]
    waves = sorted((soundfile.read(file, dtype="float32")[0] for file in files), key=len)
    return [waves[index] for index in (0, 12, 25, 39)]


@pytest.fixture(scope="session")
def lmplz() -> str:
    """KenLM's estimator."""
    from nemo_models.language_models.ngram_lm import find_lmplz

    try:
        return find_lmplz()
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def hindi_lm(lmplz: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A character 4-gram of `lm_lines()`."""
    from data_prep.text.alphabet import load_alphabet
    from nemo_models.language_models.ngram_lm import train_ngram_lm

    folder = tmp_path_factory.mktemp("lm")
    (folder / "text.txt").write_text("\n".join(lm_lines()) + "\n", encoding="utf-8")
    # As the lines stand: dropping repeated ones sorts them, on which lmplz's discounts for so short a text depend.
    train_ngram_lm([folder / "text.txt"], load_alphabet(), folder / "lm.nemo", order=4, deduplicate=False)
    return folder / "lm.nemo"


@pytest.fixture(scope="session")
def recogniser(tmp_path_factory: pytest.TempPathFactory):
    """An `XLSRCTCModel` that recognises synthesised speech; see the module `recogniser`."""
    from recogniser import train_recogniser

    return train_recogniser(tmp_path_factory.mktemp("recogniser"))
