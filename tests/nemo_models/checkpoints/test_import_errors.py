"""Checkpoints with faults that their publishers made: each is read, or refused in one line with the remedy."""

from pathlib import Path

import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2ForSequenceClassification

from family import (
    ENGLISH,
    ENGLISH_HEAD,
    HINDI,
    change_json,
    random_model,
    write_fairseq,
    write_huggingface,
    write_member,
)
from nemo_models.checkpoints.importing import import_checkpoint
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.inference.model_loading import load_ctc_model
from topology import architecture


def test_byte_order_mark_is_no_part_of_a_vocabulary(changed: Path, tmp_path: Path):
    expected = load_checkpoint(str(changed)).head.vocabulary
    content = (changed / "vocab.json").read_bytes()
    (changed / "vocab.json").write_bytes(b"\xef\xbb\xbf" + content)
    with pytest.raises(ValueError, match="BOM"):
        load_checkpoint(str(changed))  # transformers does not read it either
    folder = tmp_path / "fairseq"
    folder.mkdir()
    write_fairseq(folder / "x.pt", ENGLISH_HEAD, random_model(ENGLISH_HEAD, 0, ENGLISH, layers=1), ENGLISH)
    dictionary = folder / "dict.ltr.txt"
    dictionary.write_bytes(b"\xef\xbb\xbf" + dictionary.read_bytes())
    assert load_checkpoint(str(folder / "x.pt")).head.vocabulary.labels == expected.labels


def test_weights_alone_name_the_folder(changed: Path):
    with pytest.raises(ValueError, match=rf"found the weights alone.*give checkpoint={changed}$"):
        load_checkpoint(str(changed / "model.safetensors"))


@pytest.mark.slow
def test_names_from_data_parallel_are_read_in_fairseqs_form_and_one_line_in_hugging_faces(
    changed: Path, tmp_path: Path
):
    folder = tmp_path / "fairseq"
    folder.mkdir()
    path = folder / "x.pt"
    write_fairseq(path, ENGLISH_HEAD, random_model(ENGLISH_HEAD, 0, ENGLISH, layers=1), ENGLISH)
    expected = load_checkpoint(str(path)).weights
    content = torch.load(path, weights_only=True)
    wrapped = {f"module.{name}": tensor for name, tensor in content["model"].items()}
    torch.save({**content, "model": wrapped}, folder / "wrapped.pt")
    found = import_checkpoint(str(folder / "wrapped.pt"), ["unused"])  # and proven
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.model.encoder.network.state_dict().items())
    tensors = {
        f"module.{name}": tensor for name, tensor in Wav2Vec2ForCTC.from_pretrained(changed).state_dict().items()
    }
    (changed / "model.safetensors").unlink()
    torch.save(tensors, changed / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"begin with 'module\.'.*model\.module\.save_pretrained"):
        load_checkpoint(str(changed))


def test_unknown_names_are_counted_and_the_first_named(tmp_path: Path):
    path, _ = write_member(tmp_path, ENGLISH_HEAD, "fairseq", layers=1)
    content = torch.load(path, weights_only=True)
    content["model"] |= {f"other.{number}": torch.zeros(1) for number in range(400)}
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"found 400 tensors .*other\.3, and 396 more") as raised:
        load_checkpoint(path)
    assert len(str(raised.value)) < 500


def test_head_that_is_not_finite_names_the_remedy(changed: Path):
    tensors = Wav2Vec2ForCTC.from_pretrained(changed).state_dict()
    tensors["lm_head.weight"] = torch.full_like(tensors["lm_head.weight"], float("nan"))
    (changed / "model.safetensors").unlink()
    torch.save(tensors, changed / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"found NaN or infinite values in head\.weight.*head=new"):
        import_checkpoint(str(changed), [" "])
    assert import_checkpoint(str(changed), [" ", "क"], head="new").report
    name = "wav2vec2.encoder.layer_norm.weight"
    torch.save({**tensors, name: tensors[name] / 0}, changed / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"infinite values in encoder\.layer_norm\.weight"):
        import_checkpoint(str(changed), [" "], head="new")


def test_classifier_is_imported_without_its_head(tmp_path: Path):
    torch.manual_seed(0)
    Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**architecture(), num_labels=3)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"head of another kind \(classifier\.bias.*head=new"):
        import_checkpoint(str(tmp_path), [" "])
    imported = import_checkpoint(str(tmp_path), [" ", "क"], head="new")
    assert any("left out: " in line and "projector.weight" in line for line in imported.report)


def test_tokenizer_that_removes_spaces_is_refused_where_that_changes_a_text(changed: Path, tmp_path: Path):
    change_json(changed / "tokenizer_config.json", clean_up_tokenization_spaces=True)
    with pytest.raises(ValueError, match=r"clean_up_tokenization_spaces=true.*set it to false"):
        import_checkpoint(str(changed), [" "])  # English has 's and n't
    folder = tmp_path / "hindi"
    config = Wav2Vec2Config(**architecture(), vocab_size=len(HINDI), pad_token_id=len(HINDI) - 1)
    write_huggingface(folder, "indicwav2vec-hindi", Wav2Vec2ForCTC(config), HINDI)
    change_json(folder / "tokenizer_config.json", clean_up_tokenization_spaces=True)
    assert import_checkpoint(str(folder), ["unused"]).report


def test_checkpoint_in_place_of_a_model_names_the_command(changed: Path):
    with pytest.raises(ValueError, match=rf"found a folder.*import_checkpoint\.py checkpoint={changed} output=model"):
        load_ctc_model(changed)
    with pytest.raises(ValueError, match=rf"expected a \.nemo file.*import_checkpoint\.py checkpoint={changed} "):
        load_ctc_model(changed / "model.safetensors")
