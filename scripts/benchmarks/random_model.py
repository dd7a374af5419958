"""Models of a recipe's shape with random weights: for speed and memory, which the shape alone decides.

    python scripts/benchmarks/random_model.py xlsr_53 model.nemo
    python scripts/benchmarks/random_model.py xlsr_53 student.nemo layers=6 intermediate_size=2048

The first argument is the name of a recipe in `conf/encoder/`; `key=value` asks for a student of that model, with the
keys of `student.shape` in `conf/distill_hi.yaml`.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "conf/encoder"
sys.path[:0] = [str(ROOT)]


def find_recipe(name: str) -> Path | None:
    """Return the file of a recipe; `None` where there is none of this name."""
    path = RECIPES / f"{name}.yaml"
    return path if path.parent == RECIPES and path.is_file() else None


def make_model(recipe: Path) -> Any:
    """Build a model over the Hindi alphabet with an encoder of a recipe's shape and random weights."""
    import torch
    from omegaconf import OmegaConf

    from data_prep.text.alphabet import load_alphabet
    from nemo_models.checkpoints.model_building import model_config
    from nemo_models.ctc_model import XLSRCTCModel

    architecture = OmegaConf.load(recipe).model.encoder.architecture
    torch.manual_seed(0)
    return XLSRCTCModel(cfg=model_config(architecture, load_alphabet(), normalize=True, epsilon=1e-5)).eval()


def main() -> int:
    """Write a model; return the exit status."""
    name, output, *shape = sys.argv[1:]
    recipe = find_recipe(name)
    if recipe is None:
        known = ", ".join(sorted(path.stem for path in RECIPES.glob("*.yaml")))
        print(f"error: {name}: found no such recipe, expected one of {known}", file=sys.stderr)
        return 1
    from nemo.utils import logging

    logging.setLevel(logging.ERROR)
    model = make_model(recipe)
    if shape:
        from nemo_models.distillation.student import StudentShape, build_student

        try:
            values = {key: json.loads(value) for key, value in (pair.split("=", 1) for pair in shape)}
            model = build_student(model, StudentShape(**values))
        except (TypeError, ValueError) as error:
            print(f"error: {' '.join(shape)}: {error}; expected keys and values of student.shape", file=sys.stderr)
            return 1
    model.save_to(output)
    print("{}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
