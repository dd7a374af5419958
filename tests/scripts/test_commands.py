"""The README's commands and every job's YAML, run as a user runs them: in a shell, on a small corpus."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from family import random_model, write_huggingface
from project import ROOT
from topology import write_fairseq_checkpoint

README = (ROOT / "README.md").read_text(encoding="utf-8")
SENTENCES = ("आज मौसम बहुत अच्छा है", "मुझे थोड़ा पानी दीजिए", "बच्चे आँगन में खेल रहे हैं", "कल हम गाँव जाएँगे")
SHORT_RUN = (
    "trainer.max_steps=2 trainer.limit_train_batches=2 trainer.val_check_interval=2 trainer.accumulate_grad_batches=1 "
    "model.train_ds.batch_duration=4 model.train_ds.num_workers=0 model.validation_ds.num_workers=0 "
    "model.train_ds.num_buckets=2"
)
"""What makes the full-size recipe a matter of seconds."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the project's, with the inputs that the README's commands name."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("conf", "data_prep", "nemo_models", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    write_corpus(folder / "my_corpus")
    write_fairseq_checkpoint(folder / "xlsr_53_56k.pt")
    (folder / "hindi_text.txt").write_text("\n".join(SENTENCES * 5), encoding="utf-8")
    soundfile.write(folder / "recording.wav", noise(1.0), 16000)
    return folder


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(scale=0.1, size=int(16000 * seconds))


def write_corpus(folder: Path) -> None:
    (folder / "audio").mkdir(parents=True)
    rows = ["path\ttext\tspeaker"]
    for number in range(24):
        soundfile.write(folder / "audio" / f"{number}.wav", noise(1.5 + number / 50), 16000)
        rows.append(f"audio/{number}.wav\t{SENTENCES[number % 4]}\tspeaker{number % 12}")
    (folder / "transcripts.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def run(workspace: Path, script: str) -> str:
    """Run a shell script in the environment; what it prints, both streams."""
    script = f"source .venv/bin/activate\n{script}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=workspace, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def test_readme_commands_run_in_their_order(workspace: Path):
    blocks = re.findall(r"```(bash|python)\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) >= 7
    for language, block in blocks:
        if language == "python":
            (workspace / "snippet.py").write_text(block, encoding="utf-8")
            block = "python snippet.py"
        run(workspace, block.replace("--config-name xlsr_hi ", f"--config-name xlsr_hi {SHORT_RUN} "))
    report = json.loads((workspace / "work/data/report.json").read_text(encoding="utf-8"))
    assert report["kept"] == 24
    test_rows = (workspace / "work/data/test_manifest.json").read_text(encoding="utf-8").splitlines()
    for name in ("greedy", "beam"):
        rows = [json.loads(row) for row in (workspace / f"work/{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [row["text"] for row in rows] == [json.loads(row)["text"] for row in test_rows]
        assert all(isinstance(row["pred_text"], str) and "error" not in row for row in rows)


def test_readme_names_the_two_commands_and_they_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test", "setup"):
        assert f"make {target}" in README
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)


def test_stopped_fine_tuning_goes_on_with_the_same_command(workspace: Path):
    run(workspace, "python scripts/prepare_data.py corpus=tsv corpus_dir=my_corpus output_dir=resume/data")
    command = (
        "python scripts/speech_to_text_finetune.py --config-name xlsr_tiny_hi exp_manager.exp_dir=resume/exp "
        "'model.train_ds.manifest_filepath=[resume/data/train_manifest.json,resume/data/train_manifest.json]' "
        "trainer.limit_train_batches=2 "
        "model.validation_ds.manifest_filepath=resume/data/dev_manifest.json trainer.val_check_interval=2 "
        "model.train_ds.bucket_buffer_size=4 model.train_ds.batch_duration=4"  # training ends within a pass
    )
    run(workspace, f"{command} trainer.max_steps=2")
    output = run(workspace, f"{command} trainer.max_steps=4")
    assert "Resuming training from checkpoint" in output
    assert "`max_steps=4` reached" in output
    assert (workspace / "resume/exp/xlsr_tiny_hi/checkpoints/xlsr_tiny_hi.nemo").is_file()


def test_w2v_bert_is_fine_tuned_with_its_own_configuration(workspace: Path):
    write_huggingface(workspace / "w2v_bert", "w2v-bert-2.0", random_model("w2v-bert-2.0"), None)
    run(workspace, "python scripts/prepare_data.py corpus=tsv corpus_dir=my_corpus output_dir=bert/data")
    run(
        workspace,
        "python scripts/speech_to_text_finetune.py --config-name w2v_bert_hi init_from_checkpoint=w2v_bert "
        f"{SHORT_RUN} model.train_ds.manifest_filepath=bert/data/train_manifest.json exp_manager.exp_dir=bert/exp "
        "model.validation_ds.manifest_filepath=bert/data/dev_manifest.json trainer.precision=32-true",
    )
    assert (workspace / "bert/exp/w2v_bert_hi/checkpoints/w2v_bert_hi.nemo").is_file()


def test_every_yaml_is_run_by_a_test():
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for path in (ROOT / "conf").glob("*.yaml"):
        if path.stem in ("job_defaults", "finetune"):
            continue  # every job's YAML includes it
        named = (f"--config-name {path.stem}", f"{path.stem}.py", f'run_job("{path.stem}"')
        assert any(name in README + tests for name in named), f"no test runs {path.name}"


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


@pytest.mark.parametrize("arguments", ["", "no_such_key=1", "checkpoint=nothing.pt output=x.nemo"])
def test_wrong_arguments_get_a_clear_line_and_no_traceback(workspace: Path, arguments: str):
    command = [sys.executable, "scripts/import_xlsr.py", *arguments.split()]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert any(word in done.stderr for word in ("missing checkpoint=… output=…", "no_such_key", "no such checkpoint"))
    assert not (workspace / "x.nemo").exists()


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
