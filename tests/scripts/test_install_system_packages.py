"""scripts/install_system_packages.sh with a package manager that only writes down what it is asked for."""

import shutil
import subprocess

import pytest

from project import ROOT


@pytest.fixture
def install(tmp_path):
    """Run the script; the machine has the packages and programs that are named."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def put(name: str, script: str) -> None:
        (folder / name).write_text(f"#!{shutil.which('sh')}\n{script}\n")
        (folder / name).chmod(0o755)

    for name in ("grep", "env", "bash"):
        (folder / name).symlink_to(shutil.which(name))
    put("dpkg-query", "for name in $INSTALLED; do [ $name = $3 ] && echo install ok installed; done; exit 0")
    put("id", "echo $USER_ID")
    put("sudo", "exit 1")
    put("apt-get", f'echo "$*" >> {tmp_path}/asked; case "$*" in *$REFUSED*) exit 100;; esac')

    def run(*arguments, installed=(), programs=(), user_id=0, refused="nothing", without=()):
        for name in programs:
            put(name, "exit 0")
        for name in without:
            (folder / name).unlink()
        environment = {
            "PATH": str(folder),
            "INSTALLED": " ".join(installed),
            "USER_ID": str(user_id),
            "REFUSED": refused,
        }
        command = ["bash", str(ROOT / "scripts/install_system_packages.sh"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        asked = tmp_path / "asked"
        return done, asked.read_text().splitlines() if asked.exists() else []

    return run


def test_what_every_command_needs_is_installed_at_once_without_what_tests_need(install):
    done, asked = install(installed=["sox"])
    assert done.returncode == 0 and asked[0] == "update -qq" and len(asked) == 2
    names = asked[1].split()
    assert {"python3-venv", "festival", "g++"} <= set(names)
    assert not {"sox", "chromium", "sctk"} & set(names)


def test_the_tests_bring_a_browser_unless_there_is_one(install):
    done, asked = install("tests", installed=["fonts-lohit-deva"])
    assert done.returncode == 0
    assert [line.split()[-1] for line in asked] == ["-qq", "sctk", "chromium"]


def test_a_browser_of_another_name_will_do(install):
    done, asked = install("tests", installed=["sctk", "fonts-lohit-deva"], programs=["google-chrome"])
    assert (done.returncode, asked, done.stdout) == (0, [], "")


@pytest.mark.parametrize("refused", ["update", "chromium", "apt-get is away"])
def test_tests_go_on_without_a_network_or_a_package(install, refused):
    away = ["apt-get"] if refused == "apt-get is away" else []
    done, asked = install("tests", refused="update" if away else refused, without=away)
    assert done.returncode == 0
    if refused == "chromium":
        assert "chromium: apt-get could not install it\nThe tests that need them are skipped." in done.stderr
        assert asked[-3].endswith("sctk")
    if away:
        assert done.stderr.startswith("apt-get: not found; install the equivalents")


def test_without_the_rights_tests_go_on_and_other_commands_do_not(install):
    done, asked = install("tests", user_id=1000)
    assert (done.returncode, asked) == (0, [])
    assert "apt-get install -y --no-install-recommends sctk fonts-lohit-deva chromium\n" in done.stderr
    done, asked = install(user_id=1000)
    assert (done.returncode, asked) == (1, [])


def test_a_package_that_every_command_needs_and_an_unknown_argument_are_errors(install):
    assert install(refused="festival")[0].returncode == 100
    assert install("all")[0].returncode == 2
