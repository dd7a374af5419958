import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC, Wav2Vec2Processor

from data_prep.text.normalizer import NORMALIZER_FINGERPRINT
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
from nemo_models.checkpoints.ctc_head import parse_fairseq_dictionary
from nemo_models.checkpoints.import_proof import fixed_waveforms, prove_import
from nemo_models.checkpoints.importing import import_checkpoint
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.ctc_model import XLSRCTCModel
from topology import architecture, write_fairseq_checkpoint

pytestmark = pytest.mark.slow


def test_labels_keep_the_vocabularys_order_and_case_and_rows_their_token(ctc_folder: Path, tmp_path: Path):
    model = import_checkpoint(str(ctc_folder), ["unused"]).model
    assert list(model.cfg.labels) == ["<s>", "</s>", "<unk>", " ", *ENGLISH[5:]]
    assert list(model.decoder.vocabulary) == list(model.cfg.labels)
    source = Wav2Vec2ForCTC.from_pretrained(ctc_folder).lm_head
    layer = model.decoder.decoder_layers[0]
    assert torch.equal(layer.weight[:-1, :, 0], source.weight[1:])
    assert torch.equal(layer.weight[-1, :, 0], source.weight[0])
    assert torch.equal(layer.bias, torch.cat([source.bias[1:], source.bias[:1]]))
    assert model.cfg.normalizer_fingerprint is None


def test_blank_at_the_end_and_other_names_of_special_tokens(tmp_path: Path):
    torch.manual_seed(0)
    config = Wav2Vec2Config(**architecture(), vocab_size=len(HINDI), pad_token_id=len(HINDI) - 1)
    write_huggingface(tmp_path, "indicwav2vec-hindi", Wav2Vec2ForCTC(config), HINDI)
    model = import_checkpoint(str(tmp_path), ["unused"]).model
    assert list(model.cfg.labels) == [" ", *HINDI[1:-1]]


def test_new_head_where_asked_for_and_where_there_is_none(ctc_folder: Path, tmp_path: Path):
    labels = [" ", "क", "ख"]
    renewed = import_checkpoint(str(ctc_folder), labels, head="new")
    assert list(renewed.model.cfg.labels) == labels
    assert {key for key in renewed.model.cfg.import_proof if "_" in key} == {
        "encoder_alone",
        "encoder_padded",
        "transcription_alone",
    }
    write_fairseq_checkpoint(tmp_path / "pretrained.pt")
    assert list(import_checkpoint(str(tmp_path / "pretrained.pt"), labels).model.cfg.labels) == labels
    with pytest.raises(ValueError, match="head=old: expected one of auto, new"):
        import_checkpoint(str(ctc_folder), labels, head="old")


def test_head_without_a_vocabulary_names_the_file_and_the_way_out(changed: Path, tmp_path: Path):
    (changed / "vocab.json").unlink()
    with pytest.raises(ValueError, match=r"vocab\.json: no such file.*head=new"):
        import_checkpoint(str(changed), [" "])
    assert import_checkpoint(str(changed), [" "], head="new").report
    folder = tmp_path / "fairseq"
    folder.mkdir()
    write_fairseq(folder / "x.pt", ENGLISH_HEAD, random_model(ENGLISH_HEAD, 0, ENGLISH), ENGLISH)
    (folder / "dict.ltr.txt").write_text("| 1\nE 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"dict\.ltr\.txt: found 6 tokens, expected 32"):
        load_checkpoint(str(folder / "x.pt"))
    (folder / "dict.ltr.txt").unlink()
    with pytest.raises(ValueError, match=r"dict\.ltr\.txt: no such file.*head=new"):
        import_checkpoint(str(folder / "x.pt"), [" "])


def test_fairseqs_pickled_dictionary_is_read_without_its_code(tmp_path: Path, monkeypatch):
    write_fairseq(tmp_path / "x.pt", ENGLISH_HEAD, random_model(ENGLISH_HEAD, 0, ENGLISH), ENGLISH)
    expected = load_checkpoint(str(tmp_path / "x.pt")).head
    (tmp_path / "dict.ltr.txt").unlink()
    module: Any = types.ModuleType("fairseq.data.dictionary")
    module.Dictionary = type("Dictionary", (), {"__module__": module.__name__})
    for name in ("fairseq", "fairseq.data", module.__name__):
        monkeypatch.setitem(sys.modules, name, module)
    dictionary = module.Dictionary()
    dictionary.symbols = ["<s>", "<pad>", "</s>", "<unk>", *ENGLISH[4:]]
    content = torch.load(tmp_path / "x.pt", weights_only=True)
    torch.save({**content, "task_state": {"target_dictionary": dictionary}}, tmp_path / "y.pt")
    monkeypatch.undo()
    assert load_checkpoint(str(tmp_path / "y.pt")).head.vocabulary == expected.vocabulary


@pytest.mark.parametrize("line", ["E", "E many", " 5", ""])
def test_dictionary_of_another_form_is_refused_by_line(line: str):
    with pytest.raises(ValueError, match=r"dict\.ltr\.txt:2: .*expected a symbol, a space and a count"):
        parse_fairseq_dictionary(["| 10", line], "dict.ltr.txt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"adapter_attn_dim": 16}, "language adapters.*mms-1b-all"),
        ({"add_adapter": True}, "add_adapter"),
        ({"model_type": "hubert"}, "model_type='hubert' in config.json, expected 'wav2vec2' or 'wav2vec2-bert'"),
        ({"hidden_size": 48}, "tensors do not fit.*the configuration says"),
        ({"num_hidden_layers": 4}, "missing encoder.layers.3"),
        ({"num_hidden_layers": 2}, "unknown encoder.layers.2"),
        ({"num_hidden_layers": None}, "invalid value in config.json.*num_hidden_layers"),
        ({"hidden_size": "abc"}, "invalid value in config.json.*hidden_size"),
        ({"num_attention_heads": 7}, "invalid value in its configuration.*divisible"),
        ({"hidden_act": "nonsense"}, "invalid value in its configuration.*nonsense"),
        ({"conv_stride": [0] * 7}, "does not run.*stride"),
    ],
)
def test_configuration_that_does_not_fit_is_refused(changed: Path, change: dict, message: str):
    config = json.loads((changed / "config.json").read_text(encoding="utf-8"))
    (changed / "config.json").write_text(json.dumps({**config, **change}), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as raised:
        import_checkpoint(str(changed), [" "])
    assert str(changed) in str(raised.value) and "\n" not in str(raised.value)


NUMBERS = {token: number for number, token in enumerate(ENGLISH)}
BROKEN_HEADS = {
    "short": (
        "vocab.json",
        json.dumps(dict(list(NUMBERS.items())[:28])),
        "found 28 tokens, expected 32, one for each row: 4 rows",
    ),
    "none": ("vocab.json", "{}", "found 0 tokens, expected 32"),
    "long": ("vocab.json", json.dumps({**NUMBERS, "क": 32, "ख": 33}), "0 rows have no token, 2 tokens no row"),
    "two languages": ("vocab.json", '{"hin": {"a": 0}}', "several languages"),
    "no blank": ("tokenizer_config.json", '{"pad_token": null}', "found no pad_token"),
    "other tokenizer": (
        "tokenizer_config.json",
        '{"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer"}',
        "found tokenizer Wav2Vec2PhonemeCTCTokenizer.*head=new",
    ),
    "no JSON": ("tokenizer_config.json", "{bad", r"tokenizer_config\.json: found text that is not JSON"),
    "pointer": (
        "special_tokens_map.json",
        "version https://git-lfs.github.com/spec/v1",
        r"map\.json: found a Git-LFS pointer",
    ),
}


@pytest.mark.parametrize(("name", "content", "message"), BROKEN_HEADS.values(), ids=BROKEN_HEADS)
def test_head_whose_files_do_not_belong_to_it_is_refused_and_a_new_one_does_not_mind(
    changed: Path, name: str, content: str, message: str
):
    (changed / name).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        import_checkpoint(str(changed), [" "])
    assert list(import_checkpoint(str(changed), [" ", "क"], head="new").model.cfg.labels) == [" ", "क"]


def test_tokens_that_the_tokenizer_adds_may_have_rows_or_none(tmp_path: Path):
    for rows, folder in ((len(HINDI) + 2, tmp_path / "with"), (len(HINDI), tmp_path / "without")):
        torch.manual_seed(0)
        config = Wav2Vec2Config(**architecture(), vocab_size=rows, pad_token_id=len(HINDI) - 1)
        write_huggingface(folder, "indicwav2vec-hindi", Wav2Vec2ForCTC(config), HINDI)
        change_json(folder / "added_tokens.json", **{"<s>": len(HINDI), "</s>": len(HINDI) + 1})
        vocabulary = import_checkpoint(str(folder), ["unused"]).model.cfg.source_vocabulary
        has_rows = rows > len(HINDI)
        assert list(vocabulary.tokens) == [*HINDI, *(["<s>", "</s>"] if has_rows else [])]
        assert vocabulary.tokenizer.bos_token == ("<s>" if has_rows else None)
        assert vocabulary.tokenizer.unk_token == "[UNK]"


def test_front_end_is_read_where_transformers_5_writes_it(tmp_path: Path):
    source, model = write_member(tmp_path / "old", "wav2vec2-base-960h", "huggingface", layers=1)
    change_json(tmp_path / "old" / "preprocessor_config.json", do_normalize=False, return_attention_mask=True)
    model.save_pretrained(tmp_path / "new")
    Wav2Vec2Processor.from_pretrained(source).save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new" / "preprocessor_config.json").exists()
    for folder in ("old", "new"):
        imported = import_checkpoint(str(tmp_path / folder), ["unused"]).model
        assert (imported.preprocessor.normalize, imported.encoder.mask_padding) == (False, True)


def test_broken_head_in_fairseqs_form_does_not_matter_to_a_new_one(tmp_path: Path):
    source, _ = write_member(tmp_path, ENGLISH_HEAD, "fairseq", layers=1)
    for content, message in (
        (b"version https://git-lfs.github.com/spec/v1", "Git-LFS pointer"),
        (b"\xff\xfe 1\n", "not UTF-8"),
        (b"| 1\n", "found 5 tokens, expected 32"),
    ):
        (tmp_path / "dict.ltr.txt").write_bytes(content)
        with pytest.raises(ValueError, match=rf"dict\.ltr\.txt: .*{message}"):
            import_checkpoint(source, [" "])
        assert import_checkpoint(source, [" "], head="new").report


def test_nemo_file_keeps_the_fingerprint_of_its_transcripts(ctc_folder: Path, tmp_path: Path):
    import_checkpoint(str(ctc_folder), [" ", "क"], head="new").model.save_to(str(tmp_path / "ours.nemo"))
    import_checkpoint(str(ctc_folder), ["unused"]).model.save_to(str(tmp_path / "theirs.nemo"))
    for name, fingerprint in (("ours", NORMALIZER_FINGERPRINT), ("theirs", None)):
        model = import_checkpoint(str(tmp_path / f"{name}.nemo"), ["unused"]).model
        assert model.cfg.normalizer_fingerprint == fingerprint


def test_language_adapters_in_fairseqs_form_are_refused(tmp_path: Path):
    checkpoint, _ = write_member(tmp_path, ENGLISH_HEAD, "fairseq", layers=1)
    content = torch.load(checkpoint, weights_only=True)
    content["cfg"]["model"]["w2v_args"]["model"] |= {"layer_type": "trf_adp", "adp_num": 102, "adp_dim": 16}
    torch.save(content, checkpoint)
    with pytest.raises(ValueError, match=r"layer_type='trf_adp' \(language adapters.*expected 'transformer'"):
        import_checkpoint(checkpoint, [" "])


def test_mask_vector_that_a_checkpoint_lacks_is_new_and_reported(changed: Path):
    model = Wav2Vec2ForCTC.from_pretrained(changed)
    weights = {name: tensor for name, tensor in model.state_dict().items() if "masked_spec_embed" not in name}
    (changed / "model.safetensors").unlink()
    torch.save(weights, changed / "pytorch_model.bin")
    imported = import_checkpoint(str(changed), [" "])
    assert any("new: masked_spec_embed" in line for line in imported.report)
    again = import_checkpoint(str(changed), [" "]).model.encoder.network
    assert torch.equal(imported.model.encoder.network.masked_spec_embed, again.masked_spec_embed)


def test_proof_fails_where_a_weight_is_another(ctc_folder: Path):
    checkpoint = load_checkpoint(str(ctc_folder))
    model = import_checkpoint(str(ctc_folder), [" "]).model
    file = (ctc_folder / "model.safetensors").read_bytes()
    with torch.no_grad():
        model.encoder.network.encoder.layer_norm.bias[0] += 1e-3
    assert (ctc_folder / "model.safetensors").read_bytes() == file  # the weights are mapped from it, privately
    with pytest.raises(ValueError, match=r"differs from its source.*encoder_alone.*from_pretrained"):
        prove_import(model, checkpoint, with_head=True)


def test_proof_is_stored_and_survives(ctc_folder: Path, tmp_path: Path):
    model = import_checkpoint(str(ctc_folder), [" "]).model
    model.save_to(str(tmp_path / "x.nemo"))
    restored = XLSRCTCModel.restore_from(str(tmp_path / "x.nemo"))
    assert restored.cfg.import_proof == model.cfg.import_proof
    assert restored.cfg.import_proof.tolerance == 1e-5
    assert all(restored.cfg.import_proof[key] <= 1e-5 for key in ("encoder_alone", "head_padded"))
    again = load_checkpoint(str(tmp_path / "x.nemo"))
    assert again.head.vocabulary.labels == list(model.cfg.labels)


def test_fixed_waveforms_are_fixed_and_sound():
    first, second = fixed_waveforms()
    assert [len(first), len(second)] == [16000, 9760]
    assert 0.01 < first.std() < 0.3
    assert first.abs().max() < 1
    assert all(torch.equal(*pair) for pair in zip(fixed_waveforms(), (first, second), strict=True))
