"""Runs a script written for NeMo on this project's models: `python -m nemo_models PATH/TO/SCRIPT.py arguments…`.

NeMo instantiates only classes on its allow-list. Importing `nemo_models` adds this project's classes to that list, so
the script then restores this project's `.nemo` files without a change. `docs/nemo-tools.md` names scripts to run.
"""

import runpy
import sys
from pathlib import Path

USAGE = "usage: python -m nemo_models PATH/TO/SCRIPT.py [arguments of the script …]"


def main() -> None:
    """Run the script named on the command line as Python itself would: as `__main__`, with its own `sys.argv`."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        sys.exit(0 if arguments else 2)
    script = Path(arguments[0])
    if not script.is_file():
        sys.exit(f"error: {script}: no such file; {USAGE}")
    sys.argv = arguments
    sys.path.insert(0, str(script.resolve().parent))  # modules beside the script, as Python finds them
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
