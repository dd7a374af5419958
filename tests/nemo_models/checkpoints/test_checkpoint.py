import argparse
import os
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining, Wav2Vec2Model

from nemo_models.checkpoints import loading
from nemo_models.checkpoints.encoder_checkpoint import EncoderCheckpoint, load_encoder_weights
from nemo_models.checkpoints.fairseq_checkpoint import rename_tensors
from nemo_models.checkpoints.fairseq_config import architecture_from_fairseq, parse_conv_layers
from nemo_models.checkpoints.huggingface_checkpoint import OTHER_FILES
from nemo_models.checkpoints.loading import load_checkpoint
from nemo_models.checkpoints.model_building import model_from_checkpoint
from nemo_models.xlsr_encoder import ARCHITECTURE_KEYS, XLSREncoder
from topology import architecture

ORACLE_TOLERANCE = 1e-5  # float32 of another implementation; a tanh GELU would be off by 3e-3


def encoder_of(checkpoint: EncoderCheckpoint) -> XLSREncoder:
    encoder = XLSREncoder(architecture=checkpoint.architecture).eval()
    load_encoder_weights(encoder, checkpoint)
    return encoder


@pytest.fixture(scope="module")
def oracle(shared_data: Path) -> Path:
    return shared_data / "checkpoints" / "fairseq_tiny_reference" / "tiny_xlsr_style.fairseq.pt"


@pytest.fixture(scope="module")
def fairseq_content(oracle: Path) -> dict:
    return torch.load(oracle, weights_only=True)


@pytest.fixture
def huggingface_folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    Wav2Vec2ForPreTraining(Wav2Vec2Config(**architecture())).save_pretrained(tmp_path / "hf")
    return tmp_path / "hf"


class TestFairseq:
    def test_oracle_written_by_fairseq_is_reproduced(self, oracle: Path):
        checkpoint = load_checkpoint(str(oracle))
        recorded = np.load(oracle.with_name("tiny_xlsr_style.io.npz"))
        signal = torch.from_numpy(recorded["input_normalised"])
        encoder = encoder_of(checkpoint)
        with torch.inference_mode():
            context, frames = encoder(audio_signal=signal, length=torch.tensor([signal.shape[1]]))
            features = encoder.wav2vec2.feature_extractor(signal)
        assert frames.tolist() == [recorded["context_output"].shape[1]]
        np.testing.assert_allclose(features, recorded["conv_features"], rtol=0, atol=ORACLE_TOLERANCE)
        np.testing.assert_allclose(context.transpose(1, 2), recorded["context_output"], rtol=0, atol=ORACLE_TOLERANCE)
        assert checkpoint.normalize
        assert checkpoint.epsilon == 1e-5

    def test_oracle_weights_arrive_bit_by_bit(self, oracle: Path, fairseq_content: dict):
        weights = load_checkpoint(str(oracle)).weights
        source = fairseq_content["model"]
        assert torch.equal(
            weights["encoder.layers.1.attention.k_proj.bias"], source["encoder.layers.1.self_attn.k_proj.bias"]
        )
        assert torch.equal(weights["masked_spec_embed"], source["mask_emb"])
        assert len(weights) + 7 == len(source)

    def test_every_name_and_shape_of_xlsr_53_is_accounted_for(self, shared_data: Path):
        folder = shared_data / "checkpoints"
        rows = (folder / "xlsr_53_56k.fairseq_state_dict_keys.tsv").read_text().splitlines()[1:]
        shapes = {name: tuple(map(int, shape.split("x"))) for name, shape in (row.split("\t") for row in rows)}
        assert len(shapes) == 429
        named, left_out = rename_tensors(shapes, "xlsr_53_56k")
        fields = architecture_from_fairseq(OmegaConf.load(folder / "xlsr_53_56k.fairseq_config.json"))
        with torch.device("meta"):
            expected = {
                name: tuple(tensor.shape)
                for name, tensor in Wav2Vec2Model(Wav2Vec2Config(**fields)).state_dict().items()
            }
        assert named == expected
        assert {name.split(".")[0] for name in left_out} == {"quantizer", "project_q", "final_proj"}
        published = OmegaConf.load(folder / "wav2vec2-large-xlsr-53.hf_config.json")
        assert fields == {key: published[key] for key in ARCHITECTURE_KEYS}

    @pytest.mark.parametrize("layout", ["args", "DictConfig", "task_state", "fine-tuned"])
    def test_every_layout_of_the_file_gives_the_same_encoder(
        self, oracle: Path, fairseq_content: dict, layout: str, tmp_path: Path, monkeypatch
    ):
        model, weights = fairseq_content["cfg"]["model"], fairseq_content["model"]
        content = {"args": None, "cfg": {"model": model}, "model": weights}
        if layout == "args":
            content = {"args": argparse.Namespace(arch="wav2vec2", normalize=True, **model), "model": weights}
        elif layout == "DictConfig":
            content["cfg"] = OmegaConf.create({"model": dict(model), "task": {"normalize": True}})
        elif layout == "task_state":
            module: Any = types.ModuleType("fairseq.data.dictionary")
            module.Dictionary = type("Dictionary", (), {"__module__": module.__name__})
            for name in ("fairseq", "fairseq.data", "fairseq.data.dictionary"):
                monkeypatch.setitem(sys.modules, name, module)
            dictionary = module.Dictionary()
            dictionary.symbols = ["<s>", "<pad>", "क"]
            content["task_state"] = {"target_dictionary": dictionary}
        else:
            content["cfg"] = {
                "model": {"_name": "wav2vec_ctc", "w2v_args": {"model": model}},
                "task": {"normalize": True},
            }
            content["model"] = {f"w2v_encoder.w2v_model.{name}": tensor for name, tensor in weights.items()}
            content["model"]["w2v_encoder.proj.weight"] = torch.zeros(5, 64)
        torch.save(content, tmp_path / "other.pt")
        monkeypatch.undo()
        found, expected = load_checkpoint(str(tmp_path / "other.pt")), load_checkpoint(str(oracle))
        assert found.architecture == expected.architecture
        assert found.normalize
        assert found.weights.keys() == expected.weights.keys()
        assert all(torch.equal(found.weights[name], tensor) for name, tensor in expected.weights.items())
        assert (found.head is not None) == (layout == "fine-tuned")
        assert [name.removeprefix("w2v_encoder.w2v_model.") for name in found.left_out] == list(expected.left_out)

    def test_newer_names_of_weight_norm_give_the_same_encoder(
        self, oracle: Path, fairseq_content: dict, tmp_path: Path
    ):
        names = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
        weights = dict(fairseq_content["model"])
        for old, new in names.items():
            weights[f"encoder.pos_conv.0.{new}"] = weights.pop(f"encoder.pos_conv.0.{old}")
        torch.save({**fairseq_content, "model": weights}, tmp_path / "x.pt")
        found, expected = load_checkpoint(str(tmp_path / "x.pt")), load_checkpoint(str(oracle))
        assert found.weights.keys() == expected.weights.keys()
        assert all(torch.equal(found.weights[name], tensor) for name, tensor in expected.weights.items())
        batches = [[torch.randn(8000, generator=torch.Generator().manual_seed(0))]]
        (run,), (other,) = found.reference(batches), expected.reference(batches)
        assert torch.equal(run.frames, other.frames)

    @pytest.mark.parametrize("state", [np.float64(3.5), np.arange(3.0), {"best": np.float32(1)}], ids=str)
    def test_numpy_in_the_state_of_the_training_is_no_danger(self, fairseq_content: dict, tmp_path: Path, state: Any):
        torch.save({**fairseq_content, "extra_state": {"val": state}}, tmp_path / "x.pt")
        assert load_checkpoint(str(tmp_path / "x.pt")).weights

    @pytest.mark.parametrize("change", [{"conv_feature_layers": 5}, {"encoder_layers": "many"}, {"conv_pos": [1]}])
    def test_settings_that_cannot_be_name_the_file(self, fairseq_content: dict, tmp_path: Path, change: dict):
        model = {**fairseq_content["cfg"]["model"], **change}
        torch.save({**fairseq_content, "cfg": {"model": model}}, tmp_path / "x.pt")
        with pytest.raises(ValueError, match=r"x\.pt: invalid value in its configuration") as raised:
            load_checkpoint(str(tmp_path / "x.pt"))
        assert "\n" not in str(raised.value)

    def test_unknown_tensor_stops_the_import_by_name(self, fairseq_content: dict, tmp_path: Path):
        fairseq_content = {**fairseq_content, "model": {**fairseq_content["model"], "encoder.surprise": torch.zeros(1)}}
        torch.save(fairseq_content, tmp_path / "x.pt")
        with pytest.raises(ValueError, match=r"encoder\.surprise"):
            load_checkpoint(str(tmp_path / "x.pt"))

    def test_missing_tensor_and_wrong_shape_stop_the_import_by_name(self, fairseq_content: dict, tmp_path: Path):
        weights = dict(fairseq_content["model"])
        del weights["encoder.layer_norm.bias"]
        weights["post_extract_proj.weight"] = torch.zeros(64, 31)
        torch.save({**fairseq_content, "model": weights}, tmp_path / "x.pt")
        with pytest.raises(ValueError, match=r"missing encoder\.layer_norm\.bias.*projection\.weight is \(64, 31\)"):
            encoder_of(load_checkpoint(str(tmp_path / "x.pt")))

    def test_pickle_that_would_run_code_is_refused_and_does_not_run(self, fairseq_content: dict, tmp_path: Path):
        trace = tmp_path / "it_ran"

        class Malicious:
            def __reduce__(self):
                return os.mkdir, (str(trace),)

        torch.save({**fairseq_content, "extra_state": Malicious()}, tmp_path / "x.pt")
        with pytest.raises(ValueError, match=r"refused, it names (posix|nt)\.mkdir"):
            load_checkpoint(str(tmp_path / "x.pt"))
        assert not trace.exists()

    def test_file_that_is_no_checkpoint_is_refused(self, oracle: Path, tmp_path: Path):
        broken = {
            "page.pt": (b"<!DOCTYPE html><html><body>404</body></html>", "HTML page"),
            "pointer.pt": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git-LFS pointer"),
            "cut.pt": (oracle.read_bytes()[:300_000], "refused|cut short"),
            "cut_late.pt": (oracle.read_bytes()[:-30], "refused|cut short"),
            "empty.pt": (b"", "empty"),
            "noise.pt": (bytes(range(256)) * 8, "refused"),
        }
        for name, (content, reason) in broken.items():
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ValueError, match=f"{name}: .*({reason})") as raised:
                load_checkpoint(str(tmp_path / name))
            assert "\n" not in str(raised.value)
        torch.save([1, 2], tmp_path / "list.pt")
        with pytest.raises(ValueError, match="expected a fairseq checkpoint"):
            load_checkpoint(str(tmp_path / "list.pt"))

    def test_another_kind_of_model_is_refused(self):
        with pytest.raises(ValueError, match="hubert"):
            architecture_from_fairseq({"_name": "hubert"})

    @pytest.mark.parametrize("text", ["__import__('os').getcwd()", "[(1, 2)]", "[(512, 10, 5)] * 10**9", "", "[]"])
    def test_conv_layers_are_read_not_evaluated(self, text: str):
        with pytest.raises(ValueError, match="conv_feature_layers"):
            parse_conv_layers(text)


class TestHuggingFace:
    @pytest.mark.parametrize("form", ["safetensors", "bin", "old weight norm", "split"])
    def test_every_form_gives_the_source_model(self, huggingface_folder: Path, form: str):
        source = Wav2Vec2ForPreTraining.from_pretrained(huggingface_folder).wav2vec2.eval()
        weights = Wav2Vec2ForPreTraining.from_pretrained(huggingface_folder).state_dict()
        if form in ("bin", "old weight norm"):
            if form == "old weight norm":
                weights = {
                    name.replace("parametrizations.weight.original0", "weight_g").replace(
                        "parametrizations.weight.original1", "weight_v"
                    ): tensor
                    for name, tensor in weights.items()
                }
            (huggingface_folder / "model.safetensors").unlink()
            torch.save(weights, huggingface_folder / "pytorch_model.bin")
        elif form == "split":
            (huggingface_folder / "model.safetensors").unlink()
            Wav2Vec2ForPreTraining(source.config).save_pretrained(huggingface_folder, max_shard_size="200KB")
            source = Wav2Vec2ForPreTraining.from_pretrained(huggingface_folder).wav2vec2.eval()
            assert (huggingface_folder / "model.safetensors.index.json").exists()
        checkpoint = load_checkpoint(str(huggingface_folder))
        signal = torch.randn(1, 16000)
        with torch.inference_mode():
            found, _ = encoder_of(checkpoint)(audio_signal=signal, length=torch.tensor([16000]))
            expected = source(signal).last_hidden_state
        torch.testing.assert_close(found.transpose(1, 2), expected, rtol=0, atol=ORACLE_TOLERANCE)
        assert {name.split(".")[0] for name in checkpoint.left_out} == {"quantizer", "project_q", "project_hid"}
        assert checkpoint.epsilon == 1e-7

    def test_normalisation_follows_the_preprocessor_config(self, huggingface_folder: Path):
        (huggingface_folder / "preprocessor_config.json").write_text('{"do_normalize": false, "sampling_rate": 16000}')
        assert not load_checkpoint(str(huggingface_folder)).normalize
        (huggingface_folder / "preprocessor_config.json").write_text('{"sampling_rate": 8000}')
        with pytest.raises(ValueError, match="sampling_rate=8000, expected 16000 Hz"):
            load_checkpoint(str(huggingface_folder))

    def test_index_that_names_no_files_is_refused(self, huggingface_folder: Path):
        (huggingface_folder / "model.safetensors").unlink()
        for content in ('{"weight_map": ["a"]}', '{"weight_map": {"a": 5}}', '{"weight_map": {}}', "{}"):
            (huggingface_folder / "model.safetensors.index.json").write_text(content)
            with pytest.raises(ValueError, match=r"index\.json: found no file for each tensor"):
                load_checkpoint(str(huggingface_folder))

    def test_a_hub_id_may_have_a_dot(self, huggingface_folder: Path, monkeypatch: pytest.MonkeyPatch):
        asked = []
        monkeypatch.setattr(loading, "download_huggingface", lambda hub_id: asked.append(hub_id) or huggingface_folder)
        assert load_checkpoint("facebook/w2v-bert-2.0").source == "facebook/w2v-bert-2.0"
        for name in ("models/x.pt", "models/x.nemo", "models/x.safetensors", "models/x.bin"):
            with pytest.raises(FileNotFoundError, match="no such checkpoint"):
                load_checkpoint(name)
        assert asked == ["facebook/w2v-bert-2.0"]
        assert "processor_config.json" in OTHER_FILES

    def test_other_model_type_damage_and_absence_are_named(self, huggingface_folder: Path, tmp_path: Path):
        other = shutil.copytree(huggingface_folder, tmp_path / "other")
        (other / "config.json").write_text('{"model_type": "hubert"}')
        with pytest.raises(ValueError, match="hubert"):
            load_checkpoint(str(other))
        whole = (huggingface_folder / "model.safetensors").read_bytes()
        pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
        for content, reason in ((b"no tensors here", "damaged"), (whole[:-99], "cut short"), (pointer, "Git-LFS")):
            (huggingface_folder / "model.safetensors").write_bytes(content)
            with pytest.raises(ValueError, match=rf"model\.safetensors: .*{reason}"):
                load_checkpoint(str(huggingface_folder))
        (huggingface_folder / "model.safetensors").unlink()
        with pytest.raises(FileNotFoundError, match="no weights"):
            load_checkpoint(str(huggingface_folder))
        with pytest.raises(FileNotFoundError, match="no such checkpoint"):
            load_checkpoint(str(tmp_path / "nothing.pt"))


def test_nemo_file_is_a_checkpoint_too(huggingface_folder: Path, tmp_path: Path):
    first = load_checkpoint(str(huggingface_folder))
    model_from_checkpoint(first, [" ", "क"]).save_to(str(tmp_path / "x.nemo"))
    second = load_checkpoint(str(tmp_path / "x.nemo"))
    assert second.architecture == first.architecture
    assert (second.normalize, second.epsilon) == (first.normalize, first.epsilon)
    assert all(torch.equal(second.weights[name], tensor) for name, tensor in first.weights.items())


def test_damaged_nemo_file_is_refused_in_one_line(tmp_path: Path):
    (tmp_path / "x.nemo").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"x\.nemo: expected a \.nemo file"):
        load_checkpoint(str(tmp_path / "x.nemo"))
