"""scripts/hydra_job.py: what every job does around its own work."""

import importlib
import os
import subprocess
import sys

import hydra
import pytest
from omegaconf import OmegaConf

from project import ROOT

INTERRUPTED_JOB = """
from find_leaks import LeakSettings
from hydra_job import hydra_job

@hydra_job("find_leaks", LeakSettings{options})
def main(cfg):
    raise KeyboardInterrupt

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("", "interrupted; run the same command again to continue with what is not done yet"),
        (", after_interrupt='nothing was written'", "interrupted; nothing was written"),
    ],
    ids=["default", "own"],
)
def test_ctrl_c_gives_one_line_and_status_130(tmp_path, options: str, line: str):
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED_JOB.format(options=options), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'scripts'}{os.pathsep}{ROOT}"}
    command = [sys.executable, str(script), "training=a.txt", "evaluation=b.txt"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr.splitlines() == [line]


@pytest.mark.slow
def test_help_for_a_reader_that_stops_early_is_no_error():
    command = [sys.executable, "scripts/evaluate.py", "--help"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == ("", 0)


@pytest.mark.slow
def test_importing_a_script_does_not_start_its_job():
    code = (
        "import pathlib, runpy, sys; sys.path.insert(0, 'scripts')\n"
        "for path in pathlib.Path('scripts').glob('*.py'): runpy.run_path(str(path), run_name='imported')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


RENAMING_JOB = """
from hydra_job import hydra_job

@hydra_job("xlsr_tiny_hi", renamed={"learned": "init_from_checkpoint"})
def main(cfg):
    print(cfg.init_from_checkpoint, "learned" in cfg)

if __name__ == "__main__":
    main()
"""


def test_the_old_name_of_an_argument_still_works_with_a_note(tmp_path):
    (tmp_path / "job.py").write_text(RENAMING_JOB, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("defaults: [xlsr_tiny_hi, _self_]\nlearned: b.txt\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'scripts'}{os.pathsep}{ROOT}"}
    required = ["exp_manager.exp_dir=x"]
    required += [f"model.{part}.manifest_filepath=x" for part in ("train_ds", "validation_ds")]
    for arguments, value in (
        (["learned=a.txt"], "a.txt"),
        (["--config-dir", ".", "--config-name", "mine"], "b.txt"),  # the user's own configuration file
    ):
        command = [sys.executable, "job.py", *required, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, f"{value} False\n"), done.stderr
        assert done.stderr.splitlines() == ["note: learned is now named init_from_checkpoint; the old name still works"]


def test_help_prints_every_file_that_a_recipe_is_composed_of():
    command = [sys.executable, "scripts/speech_to_text_finetune.py", "--help", "--config-name", "xlsr_tiny_hi"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    titles = [line for line in done.stdout.splitlines() if line.startswith("# ----")]
    names = ("finetune", "encoder/xlsr_53", "xlsr_hi", "xlsr_tiny_hi")
    assert titles == [f"# ---- conf/{name}.yaml ----" for name in names]
    for key in ("init_from_checkpoint: ???", "mask_time_prob: 0.5", "max_steps: 240"):
        assert key in done.stdout


JOBS = sorted(
    path.stem for path in (ROOT / "scripts").glob("*.py") if (ROOT / "conf" / path.name).with_suffix(".yaml").exists()
)


@pytest.mark.parametrize("job", JOBS)
def test_every_yaml_lists_exactly_the_declared_arguments(job):
    importlib.import_module(job)  # registers their types; Hydra refuses a key that they lack
    with hydra.initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = hydra.compose(job)
    listed = OmegaConf.load(ROOT / "conf" / f"{job}.yaml")
    assert set(cfg) == set(listed) - {"defaults"}
    assert set(OmegaConf.missing_keys(cfg)) == set(OmegaConf.missing_keys(listed))


@pytest.mark.parametrize(
    ("job", "argument", "message"),
    [
        ("tune_decoding", "batch_size=many", "batch_size=many: expected a whole number"),
        ("train_ngram_lm", "order=long", "order=long: expected a whole number"),
        ("train_ngram_lm", "held_out=true", "held_out=true: expected a text"),
        ("evaluate", "gate=no", "gate=no: expected a number"),
        ("evaluate", "outputdir=x", "outputdir=x: there is no such argument; did you mean output_dir"),
        ("transcribe_speech", "subtitles=srt", "subtitles=srt: expected a value for one of subtitles.line_characters,"),
        ("export_model", "verify=maybe", "verify=maybe: expected true or false"),
        ("prepare_data", "unit_size=few", "unit_size=few: expected a whole number"),
        ("make_tiny_checkpoint", "augment.tilt=steep", "augment.tilt=steep: expected a number"),
        ("normalize_text", "input=null", "input=null: expected a value, not null"),
    ],
)
def test_a_wrong_argument_gets_one_line(job, argument, message, monkeypatch, capsys):
    module = importlib.import_module(job)
    monkeypatch.setattr(sys, "argv", [f"scripts/{job}.py", argument])
    with pytest.raises(SystemExit, match="1"):
        module.main()
    assert capsys.readouterr().err.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("language=hi,mr,ta", "hi,mr,ta"),
        ("language=[hi,mr,ta]", "hi,mr,ta"),
        ('language="hi,ta"', "hi,ta"),
        ("language=ta", "ta"),
        ("language=my/xyz.yaml,ta", "my/xyz.yaml,ta"),
    ],
)
def test_several_languages_are_one_text(given: str, read: str):
    job = importlib.import_module("hydra_job")
    with hydra.initialize_config_dir(str(job.CONF_DIR), version_base="1.3"):
        assert hydra.compose("finetune", overrides=[job._quote_languages(given)]).language == read
    assert job._quote_languages("audio_list=[a.wav,b.wav]") == "audio_list=[a.wav,b.wav]"
