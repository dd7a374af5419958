"""Commands of the README and of docs/, run as a user runs them: in a shell, on a small corpus."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from data_prep.languages.language import load_language
from documents import DOCUMENTS, SHORT_RUN, Workspace, find_jobs, make_workspace, read_blocks, run_block, run_shell
from family import random_model, write_huggingface
from hydra_job import check_arguments
from project import ROOT
from topology import write_fairseq_checkpoint
from warm_python import WarmPython

pytestmark = pytest.mark.slow

SENTENCES = ("आज मौसम बहुत अच्छा है", "मुझे थोड़ा पानी दीजिए", "बच्चे आँगन में खेल रहे हैं", "कल हम गाँव जाएँगे")
SAME_WIDTH = "student.shape.layers=1 student.shape.num_attention_heads=null student.shape.intermediate_size=null"
RECIPES = {"xlsr_hi": "", "xlsr_ssl": "", "distill_hi": f"{SAME_WIDTH} student.shape.conv_dim=null "}
SHORT_RUNS = {f"--config-name {name} ": f"--config-name {name} {SHORT_RUN} {more}" for name, more in RECIPES.items()}
"""What turns the full-size recipes of the documents into runs of seconds."""
DEFAULT_CONFIG = {
    "speech_to_text_finetune": "xlsr_hi",
    "speech_pre_training": "xlsr_ssl",
    "distill": "distill_hi",
}
"""Configuration of a script where it has another name than the script."""
WITHOUT_DOCUMENT = {
    "make_tiny_checkpoint": "train_corpora=[my_corpus] valid_corpora=[my_corpus] work_dir=tiny/work "
    "output_dir=tiny/out max_steps=2 warmup_steps=1 batch_seconds=2 model.conv_dim=[8,8,8,8,8,8,8] "
    "model.hidden_size=32 model.num_hidden_layers=1 model.num_attention_heads=2 model.intermediate_size=32",
}
"""Jobs that no document runs, with arguments for a small run."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, tiny_model, warm_python: WarmPython) -> Workspace:
    """A folder that looks like the project's, with the inputs that the documents name."""
    folder = tmp_path_factory.mktemp("clone")
    write_corpus(folder / "my_corpus")
    write_corpus(folder / "my_tamil_corpus", load_language("ta").sentences)
    write_fairseq_checkpoint(folder / "xlsr_53_56k.pt")
    words = " ".join(SENTENCES).split()
    lines = [*SENTENCES, *(" ".join(words[first : first + 4]) for first in range(len(words) - 3))]
    (folder / "hindi_text.txt").write_text("\n".join(lines * 2), encoding="utf-8")
    (folder / "tamil_text.txt").write_text("\n".join(load_language("ta").sentences), encoding="utf-8")
    soundfile.write(folder / "recording.wav", noise(1.0), 16000)
    tiny_model.save_to(str(folder / "model.nemo"))
    return make_workspace(folder, warm_python)


@pytest.fixture(scope="module")
def executed(workspace: Workspace) -> set[str]:
    """Texts of the blocks that have run in the workspace; at first those of the README."""
    texts: set[str] = set()
    run_document("README.md", workspace, texts)
    return texts


def run_document(document: str, workspace: Workspace, executed: set[str]) -> None:
    """Run the blocks of a document that have not run in the workspace yet."""
    for block in read_blocks(document):
        if block.runs_here and block.text not in executed:
            run_block(block, workspace, SHORT_RUNS)
        executed.add(block.text)


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(scale=0.1, size=int(16000 * seconds))


def write_corpus(folder: Path, sentences: Sequence[str] = SENTENCES) -> None:
    (folder / "audio").mkdir(parents=True)
    rows = ["path\tduration_s\tsample_rate\tspeaker\ttext"]  # as synthesize_speech.py writes them
    for number in range(24):
        soundfile.write(folder / "audio" / f"{number}.wav", noise(1.5 + number / 50), 16000)
        rows.append(f"audio/{number}.wav\t1.5\t16000\tspeaker{number % 12}\t{sentences[number % 4]}")
    (folder / "transcripts.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_readme_commands_run_in_their_order(workspace: Workspace, executed: set[str]):
    assert len(executed) >= 8
    report = json.loads((workspace / "work/data/report.json").read_text(encoding="utf-8"))
    assert report["kept"] == 24
    test_rows = read_rows(workspace / "work/data/test_manifest.json")
    rows = read_rows(workspace / "work/test.jsonl")
    assert [row["text"] for row in rows] == [row["text"] for row in test_rows]
    assert all(isinstance(row["pred_text"], str) and "error" not in row for row in rows)
    assert (workspace / "recording.jsonl").is_file() and list((workspace / "work/onnx_bundle").glob("*.onnx"))


def read_rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_of_a_document_run_in_their_order(document: str, workspace: Workspace, executed: set[str]):
    for earlier in DOCUMENTS[: DOCUMENTS.index(document) + 1]:  # whose files it reads; each block runs once
        run_document(earlier, workspace, executed)


@pytest.mark.parametrize("document", ("README.md", *DOCUMENTS))
def test_blocks_that_are_not_run_have_valid_arguments(document: str, monkeypatch: pytest.MonkeyPatch):
    for block in read_blocks(document):
        for script, arguments in find_jobs(block):
            importlib.import_module(script)  # registers the types of its arguments
            config, overrides = choose_config(script, arguments)
            monkeypatch.setattr(sys, "argv", [f"scripts/{script}.py", *arguments])
            check_arguments(config, overrides)


def choose_config(script: str, arguments: list[str]) -> tuple[str, list[str]]:
    """Return the configuration that a command line uses, and its other arguments."""
    if "--config-name" in arguments:
        at = arguments.index("--config-name")
        return arguments[at + 1], arguments[:at] + arguments[at + 2 :]
    return DEFAULT_CONFIG.get(script, script), arguments


def test_stopped_fine_tuning_goes_on_with_the_same_command(workspace: Workspace):
    run_shell("python scripts/prepare_data.py corpus=tsv corpus_dir=my_corpus output_dir=resume/data", workspace)
    command = (
        "python scripts/speech_to_text_finetune.py --config-name xlsr_tiny_hi exp_manager.exp_dir=resume/exp "
        "'model.train_ds.manifest_filepath=[resume/data/train_manifest.json,resume/data/train_manifest.json]' "
        "trainer.limit_train_batches=2 "
        "model.validation_ds.manifest_filepath=resume/data/dev_manifest.json trainer.val_check_interval=2 "
        "model.train_ds.bucket_buffer_size=4 model.train_ds.batch_duration=4"  # training ends within a pass
    )
    run_shell(f"{command} trainer.max_steps=2", workspace)
    output = run_shell(f"{command} trainer.max_steps=4", workspace)
    assert "Resuming training from checkpoint" in output
    assert "`max_steps=4` reached" in output
    for noise in ("OneLogger", "No exporters", "Optimizer config", "GPU available"):
        assert noise not in output
    assert (workspace / "resume/exp/xlsr_tiny_hi/checkpoints/xlsr_tiny_hi.nemo").is_file()


def test_w2v_bert_is_fine_tuned_with_its_own_configuration(workspace: Workspace):
    write_huggingface(workspace / "w2v_bert", "w2v-bert-2.0", random_model("w2v-bert-2.0"), None)
    run_shell("python scripts/prepare_data.py corpus=tsv corpus_dir=my_corpus output_dir=bert/data", workspace)
    run_shell(
        "python scripts/speech_to_text_finetune.py --config-name w2v_bert_hi init_from_checkpoint=w2v_bert "
        f"{SHORT_RUN} model.train_ds.manifest_filepath=bert/data/train_manifest.json exp_manager.exp_dir=bert/exp "
        "model.validation_ds.manifest_filepath=bert/data/dev_manifest.json trainer.precision=32-true",
        workspace,
    )
    assert (workspace / "bert/exp/w2v_bert_hi/checkpoints/w2v_bert_hi.nemo").is_file()


@pytest.mark.parametrize("job", WITHOUT_DOCUMENT)
def test_job_without_document_runs(job: str, workspace: Workspace):
    run_shell(f"python scripts/{job}.py {WITHOUT_DOCUMENT[job]}", workspace)


def test_every_yaml_is_run_by_a_test():
    """The tests above run every block that `runs_here`; each YAML is a job of one of them, or included by another."""
    documented = {
        choose_config(*job)[0]
        for document in ("README.md", *DOCUMENTS)
        for block in read_blocks(document)
        for job in find_jobs(block)
        if block.runs_here
    }
    # test_w2v_bert_is_fine_tuned_with_its_own_configuration; test_serve; test_distilling; test_recipes;
    # test_pseudo_labels
    run_here = {"w2v_bert_hi", "serve", "distill_tiny_hi", "robust_en", "xlsr_tiny_en", "pseudo_label"}
    paths = list((ROOT / "conf").glob("*.yaml"))
    included = {name for path in paths for name in find_included(path)}
    assert {path.stem for path in paths} <= documented | run_here | included | WITHOUT_DOCUMENT.keys()


def find_included(path: Path) -> Iterator[str]:
    """Yield the names of the configurations that a YAML includes."""
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")).get("defaults", []):
        yield from (entry,) if isinstance(entry, str) else map(str, entry.values())


@pytest.mark.parametrize(
    "script", sorted(path.name for path in (ROOT / "scripts").glob("*.py") if path.name != "hydra_job.py")
)
def test_help_tells_what_the_script_does_without_importing_torch(script: str):
    code = (
        "import runpy, sys; sys.argv = [sys.argv[1], '--help']; sys.path.insert(0, 'scripts'); "
        "runpy.run_path(sys.argv[0], run_name='__main__'); assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"scripts/{script}"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout


@pytest.mark.parametrize(
    "arguments", ["", "no_such_key=1", pytest.param("checkpoint=nothing.pt output=x.nemo", marks=pytest.mark.slow)]
)
def test_wrong_arguments_get_a_clear_line_and_no_traceback(tmp_path: Path, arguments: str, warm_python: WarmPython):
    done = warm_python.run(ROOT / "scripts/import_checkpoint.py", *arguments.split(), folder=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert any(word in done.stderr for word in ("missing checkpoint=… output=…", "no_such_key", "no such checkpoint"))
    assert not (tmp_path / "x.nemo").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("inputs=x", "inputs=x: there is no such argument; did you mean input?"),
        ("input=a nothing.like.it=1", "nothing.like.it=1: there is no such argument (see:"),
        ("input", "input: Error parsing override 'input' missing EQUAL"),
        ("~nope", "~nope: Could not delete from config"),
        ("--config-name=nope", "Cannot find primary config 'nope'"),
        ("input=a output=b", "missing rejected=… (see:"),
        ("", "missing input=… output=… rejected=… (see:"),
    ],
)
def test_an_argument_that_cannot_be_is_told_in_one_line(arguments: str, message: str):
    command = [sys.executable, "scripts/normalize_text.py", *arguments.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
