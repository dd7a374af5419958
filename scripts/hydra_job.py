"""Starts every script in the same way: Hydra reads `conf/<name>.yaml` and the command line; an error is one line."""

import difflib
import inspect
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import ValidationError

import nemo_models  # noqa: F401  before NeMo: silences its telemetry client, and admits this project's classes
from data_prep.job_settings import make_schema, read_settings

CONF_DIR = Path(__file__).resolve().parent.parent / "conf"

QUOTE = "quote the value:"
# What OmegaConf's message about a value's type contains, and what was expected.
EXPECTED = {
    "not a valid bool": "true or false",
    "converted to Integer": "a whole number",
    "converted to Float": "a number",
    "of type 'bool' is incompatible": "a text, or a whole number; quote a text that looks like true or false",
    "of type 'float' is incompatible": "a text, or a whole number; quote a text that looks like a number",
    "Union[int, str]": "a text",
    "is not Optional": "a value, not null",
    "Dict[str, Any]": "settings, such as key.subkey=value",
}
IS_GROUP = "is not a subclass of"
"""In the message for one value in place of several settings."""
INTERRUPTED = 130  # exit status that a shell reports for a program ended by Ctrl-C
SEVERAL_LANGUAGES = re.compile(r"(\+*language)=\[?([^\[\]\"',]+(?:,[^\[\]\"',]+)+)\]?")
CONFIG_NAME = ("--config-name", "-cn")
# With one of these on the command line, the arguments are not checked here: Hydra interprets them in its own way.
HYDRA_OPTIONS = {"--multirun", "-m", "--config-path", "-cp", "--config-dir", "-cd", "--package", "-p"}


def hydra_job(
    config_name: str,
    settings: type | None = None,
    nemo: bool = False,
    rewrite: Callable[[str], str] = str,
    after_interrupt: str = "run the same command again to continue with what is not done yet",
    renamed: Mapping[str, str] | None = None,
    help_note: Callable[[], str] | None = None,
    note: Callable[[Mapping[str, Any]], Sequence[str]] | None = None,
) -> Callable[[Callable[[Any], int | None]], Callable[[], None]]:
    """Turn `main(settings) -> exit status` into a command-line job.

    `ValueError`, `OSError` and missing required values are mistakes that the user can correct: each is printed as one
    line on standard error, and the exit status is 1. Ctrl-C prints one line too, with exit status 130. Every other
    exception is a bug of the project and keeps its traceback.

    Args:
        config_name: Name of a file in `conf/`, without `.yaml`. Its keys are the job's arguments, its comments are what
            `--help` prints. `--config-name` on the command line replaces it.
        settings: Dataclass with the types of the arguments, see `data_prep.job_settings`: `main` gets an instance of
            it. The YAML names `<config_name>_schema` first among its defaults. `None`: `main` gets the `DictConfig`.
        nemo: True to start through NeMo's `hydra_runner`, as NeMo's training scripts do.
        rewrite: Function that each argument of the command line goes through first, such as one that adds `++` to a key
            which the YAML does not list.
        after_interrupt: What the user should know after Ctrl-C, printed behind "interrupted; ".
        renamed: Old name of an argument to its new name; the old one still works, and a note names the new one.
        help_note: Gives a line that `--help` prints below the description, such as what this machine can do.
        note: Gives lines to print before the job starts, from all arguments in plain containers.

    Returns:
        A decorator; the decorated function takes no argument and reads `sys.argv`.
    """

    renamed = renamed or {}

    def decorate(main: Callable[[Any], int | None]) -> Callable[[], None]:
        if settings is not None:
            ConfigStore.instance().store(f"{config_name}_schema", make_schema(settings))

        def run(cfg: DictConfig) -> None:
            _rename_keys(cfg, renamed)
            missing = sorted(OmegaConf.missing_keys(cfg))
            if missing:
                _fail(f"missing {' '.join(f'{key}=…' for key in missing)} (see: python {sys.argv[0]} --help)")
            try:
                arguments = OmegaConf.to_container(cfg, resolve=True) if settings or note else cfg
                for line in note(arguments) if note else ():
                    print(line, file=sys.stderr)
                status = main(read_settings(settings, arguments) if settings else cfg)
            except (ValueError, OSError) as error:
                _fail(str(error))
            sys.exit(status or 0)

        def start() -> None:
            try:
                begin()
            except KeyboardInterrupt:
                print(f"interrupted; {after_interrupt}", file=sys.stderr)
                sys.exit(INTERRUPTED)

        def begin() -> None:
            renaming = (_rename_argument(argument, renamed) for argument in sys.argv[1:])
            sys.argv[1:] = [rewrite(_quote_languages(argument)) for argument in renaming]
            if {"--help", "-h"} & set(sys.argv[1:]):
                description = (inspect.getmodule(main).__doc__ or "").strip()
                try:
                    print_help(_chosen_config(config_name), description + (f"\n\n{help_note()}" if help_note else ""))
                    sys.stdout.flush()
                except BrokenPipeError:  # as in `--help | head`; Python flushes once more when it ends
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return
            if not HYDRA_OPTIONS & set(sys.argv[1:]):
                check_arguments(_chosen_config(config_name), _overrides())
            if nemo:
                from nemo.core.config import hydra_runner  # takes seconds to import; --help does not need it

                hydra_runner(config_path=str(CONF_DIR), config_name=config_name)(run)()
            else:
                hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)(run)()

        return start

    return decorate


def print_help(config_name: str, description: str) -> None:
    """Print what a job does, its usage, and its configuration with every key's comment.

    A configuration that builds on other files is printed with these files, in their order: later values win.
    """
    print(f"{description.strip()}\n\nusage: python {sys.argv[0]} key=value …   (??? = required)")
    files = list(_config_files(config_name))
    for name in files:
        title = f"\n# ---- conf/{name}.yaml ----" if len(files) > 1 else ""
        lines = [line for line in _config_lines(name) if not line.startswith(("defaults:", "# @package"))]
        print(f"{title}\n" + "\n".join(lines).strip())


def check_arguments(config_name: str, arguments: Sequence[str]) -> None:
    """Exit with a one-line error if Hydra rejects an argument; name the first such argument and similar valid keys.

    Args:
        config_name: Name of a file in `conf/`, without `.yaml`.
        arguments: Hydra's overrides, in order.
    """
    arguments = [_quote_languages(argument) for argument in arguments]
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        error = _composition_error(config_name, arguments)
        if error is None:
            return
        wrong = next(n for n in range(len(arguments) + 1) if _composition_error(config_name, arguments[:n]))
        if wrong == 0:
            _fail(error)
        argument = arguments[wrong - 1]
        key = argument.partition("=")[0]
        reason = _composition_error(config_name, arguments[:wrong]) or error
        known = _dotted(OmegaConf.to_container(hydra.compose(config_name)))
        if IS_GROUP in reason:
            reason = f"expected a value for one of {', '.join(name for name in known if name.startswith(f'{key}.'))}"
        if reason.startswith("Could not override"):
            near = difflib.get_close_matches(key, known, n=3)
            reason = "there is no such argument" + (f"; did you mean {' or '.join(near)}?" if near else "")
        if QUOTE in reason:
            _fail(f"{argument}: {reason}")
        _fail(f"{argument}: {reason} (see: python {sys.argv[0]} --help)")


def _composition_error(config_name: str, arguments: Sequence[str]) -> str | None:
    try:
        hydra.compose(config_name, overrides=list(arguments))
    except OverrideParseException as error:
        key, has_value, value = error.override.partition("=")
        if not has_value:
            return str(error)
        return f"Hydra cannot read that; {QUOTE} {shlex.quote(f'{key}={_quote(value)}')}"
    except HydraException as error:
        if isinstance(error.__cause__, ValidationError):
            return _expectation(str(error.__cause__).splitlines()[0])
        return str(error)
    return None


def _expectation(fault: str) -> str:
    """Say what a value of a wrong type should have been."""
    for part, expected in EXPECTED.items():
        if part in fault:
            return f"expected {expected}"
    return fault


def _quote(value: str) -> str:
    """Quote a value for Hydra, or each item of a list."""
    if value.startswith("[") and value.endswith("]"):
        return f"[{','.join(_quote(item.strip()) for item in value[1:-1].split(','))}]"
    return '"{}"'.format(value.strip('"').replace('"', '\\"'))


def _dotted(tree: Any, prefix: str = "") -> list[str]:
    if not isinstance(tree, dict):
        return []
    return [name for key, value in tree.items() for name in (f"{prefix}{key}", *_dotted(value, f"{prefix}{key}."))]


def _quote_languages(argument: str) -> str:
    """Make one text of several languages: Hydra takes `hi,ta` for a sweep over jobs, and `[hi,ta]` for a list."""
    match = SEVERAL_LANGUAGES.fullmatch(argument)
    return f'{match[1]}="{match[2]}"' if match else argument


def _rename_argument(argument: str, renamed: Mapping[str, str]) -> str:
    key, has_value, value = argument.partition("=")
    if key not in renamed:
        return argument
    _note_new_name(key, renamed[key])
    return f"{renamed[key]}{has_value}{value}"


def _rename_keys(cfg: DictConfig, renamed: Mapping[str, str]) -> None:
    """Rename keys that come from a configuration file of the user's."""
    with open_dict(cfg):
        for old, new in renamed.items():
            if old in cfg:
                _note_new_name(old, new)
                cfg[new] = cfg.pop(old)


def _note_new_name(old: str, new: str) -> None:
    print(f"note: {old} is now named {new}; the old name still works", file=sys.stderr)


def _chosen_config(default: str) -> str:
    for argument, following in zip(sys.argv[1:], [*sys.argv[2:], ""], strict=False):
        name, _, value = argument.partition("=")
        if name in CONFIG_NAME:
            return value or following
    return default


def _overrides() -> list[str]:
    before = ["", *sys.argv[1:]]
    return [a for a, last in zip(sys.argv[1:], before, strict=False) if a[0] != "-" and last not in CONFIG_NAME]


def _config_files(config_name: str) -> Iterator[str]:
    """Yield the files that a configuration is composed of, in the order in which Hydra merges them."""
    path = CONF_DIR / f"{config_name}.yaml"
    if not path.is_file():
        return  # a schema that the job registers with Hydra
    config = OmegaConf.load(path)
    defaults = config.get("defaults", []) if isinstance(config, DictConfig) else []
    for entry in [*defaults, *([] if "_self_" in defaults else ["_self_"])]:
        if isinstance(entry, DictConfig):
            yield from (f"{group}/{choice}" for group, choice in entry.items() if choice is not None)
        elif entry == "_self_":
            yield config_name
        elif entry != "job_defaults":
            yield from _config_files(entry)


def _config_lines(config_name: str) -> list[str]:
    return (CONF_DIR / f"{config_name}.yaml").read_text(encoding="utf-8").splitlines()


def _fail(message: str) -> NoReturn:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
