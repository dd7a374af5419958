"""The systemd unit and the container file of docs/serving.md name what exists, as far as that shows without running."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import tomllib
import yaml

from project import ROOT

PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
INSTRUCTIONS = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT"}


def read_block(first_line):
    """The indented block of the page that begins with a line."""
    (found,) = re.findall(rf"^    {re.escape(first_line)}.*\n(?:(?:    .*)?\n)*", PAGE, re.M)
    return re.sub(r"^    ", "", found, flags=re.M).rstrip()


def check_arguments(arguments):
    known = yaml.safe_load((ROOT / "conf" / "serve.yaml").read_text(encoding="utf-8"))
    assert {argument.partition("=")[0] for argument in arguments} <= set(known)


def instructions():
    text = read_block("FROM ").replace("\\\n", "")
    return [line.split(maxsplit=1) for line in text.splitlines()]


def test_the_unit_starts_the_server():
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(read_block("[Unit]"))
    service = unit["Service"]
    python, script, *arguments = shlex.split(service["ExecStart"])
    folder = service["WorkingDirectory"]
    assert python == f"{folder}/.venv/bin/python" and (ROOT / script).is_file()
    check_arguments(arguments)
    settings = yaml.safe_load((ROOT / "conf" / "serve.yaml").read_text(encoding="utf-8"))
    assert float(service["TimeoutStopSec"]) > settings["shutdown_s"] + 10


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_takes_the_unit(tmp_path):
    text = read_block("[Unit]").replace("/srv/hindi-asr/.venv/bin/python", f'"{sys.executable}"')
    path = tmp_path / "hindi-asr.service"
    path.write_text(re.sub("^User=.*\n", "User=daemon\n", text, flags=re.M).replace("/srv/hindi-asr", str(ROOT)))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, timeout=60)
    own = [line for line in done.stderr.splitlines() if "hindi-asr.service" in line]
    assert not own, done.stderr


def test_the_container_file_copies_and_starts_what_exists():
    found = instructions()
    assert found[0][0] == "FROM" and {name for name, _ in found} <= INSTRUCTIONS
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    copied = [source for name, rest in found if name == "COPY" for source in rest.split()[:-1]]
    assert all((ROOT / source).exists() for source in copied)
    named = {project["project"]["readme"], *project["project"]["license-files"]}
    assert {"pyproject.toml", "constraints.txt", *named} <= set(copied)
    packages = {pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages | {"scripts", "conf"} <= set(copied)
    (entry,) = [json.loads(rest) for name, rest in found if name == "ENTRYPOINT"]
    folder = next(rest for name, rest in found if name == "WORKDIR")
    assert (ROOT / entry[1].removeprefix(f"{folder}/")).is_file()
    check_arguments([*entry[2:], "model_path=/models/bundle.nemo"])
    (health,) = [rest for name, rest in found if name == "HEALTHCHECK"]
    command = json.loads(health.partition("CMD ")[2])
    compile(command[2], "health", "exec")
    assert "/health/ready" in command[2] and f":{dict(found)['EXPOSE']}/" in command[2]


def test_the_container_files_commands_are_sound():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    commands = [rest for name, rest in instructions() if name == "RUN"]
    for command in commands:
        subprocess.run(["sh", "-n", "-c", command], check=True, timeout=60)
    (install,) = [shlex.split(command) for command in commands if "pip install" in command]
    extras = install[-1].strip(".[]").split(",")
    assert set(extras) <= set(project["optional-dependencies"])
    system = (ROOT / "scripts" / "install_system_packages.sh").read_text(encoding="utf-8")
    (names,) = re.findall(r"--no-install-recommends ([^&]*)&&", commands[0])
    assert set(names.split()) <= {*system.split(), "make"}  # who starts that script by make has it
    image = instructions()[0][1]
    version = re.search(r"python:3\.(\d+)", image)
    assert 10 <= int(version[1]) < 13, project["requires-python"]
