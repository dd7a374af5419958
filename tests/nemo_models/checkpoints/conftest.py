from pathlib import Path

import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from family import ENGLISH, ENGLISH_HEAD, write_huggingface
from topology import architecture


@pytest.fixture(scope="module")
def ctc_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Hugging Face folder with a CTC head over capitals."""
    folder = tmp_path_factory.mktemp("ctc")
    config = Wav2Vec2Config(**architecture(), vocab_size=len(ENGLISH))
    torch.manual_seed(0)
    write_huggingface(folder, ENGLISH_HEAD, Wav2Vec2ForCTC(config), ENGLISH)
    return folder


@pytest.fixture
def changed(ctc_folder: Path, tmp_path: Path) -> Path:
    """The same for a test to change."""
    for path in ctc_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path
