"""Cost of importing a checkpoint of XLSR-53's size, beside torch.load of the same file.

Usage: python scripts/benchmarks/import_checkpoint.py WORK_FOLDER [fairseq|huggingface]

Makes a random checkpoint of 1.27 GB in WORK_FOLDER, imports it with the functions of scripts/import_checkpoint.py
and saves the .nemo. Prints seconds of torch.load, import and saving, and the peak of the resident memory, mapped files
included, above its value after the imports of libraries, as a multiple of the checkpoint's size.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from side_process import ROOT, peak_bytes

sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="WORK_FOLDER")
    parser.add_argument("form", nargs="?", default="fairseq", choices=["fairseq", "huggingface"])
    arguments = parser.parse_args()
    folder, form = arguments.folder, arguments.form
    folder.mkdir(parents=True, exist_ok=True)
    result: dict[str, object] = {}
    for step in ("make", "load", "import"):  # each in a separate process: memory is measured from nothing
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import import_checkpoint as b; "
        code += f"b.{step}_step({str(folder)!r}, {form!r})"
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        result |= json.loads(done.stdout.splitlines()[-1])
    print(json.dumps(result, indent=2))


def checkpoint_path(folder: str, form: str) -> Path:
    return Path(folder) / ("random_xlsr_53.pt" if form == "fairseq" else "random_xlsr_53")


def make_step(folder: str, form: str) -> None:
    """Write the checkpoint, unless it is there."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    from family import MEMBERS, write_fairseq, write_huggingface

    path = checkpoint_path(folder, form)
    name = "wav2vec2-large-xlsr-53"
    if not path.exists():
        torch.manual_seed(0)
        model = Wav2Vec2Model(Wav2Vec2Config(**MEMBERS[name]["architecture"]))
        (write_fairseq if form == "fairseq" else write_huggingface)(path, name, model, None)
    print(json.dumps({"form": form, "checkpoint_bytes": weight_file(path).stat().st_size}))


def weight_file(path: Path) -> Path:
    return path / "model.safetensors" if path.is_dir() else path


def load_step(folder: str, form: str) -> None:
    """Time torch.load (or safetensors' load_file), every tensor read into memory."""
    import torch
    from safetensors.torch import load_file

    path = weight_file(checkpoint_path(folder, form))
    began = time.perf_counter()
    if path.suffix == ".safetensors":
        loaded = {name: tensor.clone() for name, tensor in load_file(path).items()}
    else:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    print(json.dumps({"torch_load_s": round(time.perf_counter() - began, 2), "loaded": len(loaded)}))


def import_step(folder: str, form: str) -> None:
    """Import and save, with times and memory."""
    import nemo_models  # noqa: F401  the libraries' own memory is what is there after this
    from data_prep.text.alphabet import load_alphabet
    from nemo_models.checkpoints.importing import import_checkpoint

    path = checkpoint_path(folder, form)
    libraries = peak_bytes()
    began = time.perf_counter()
    imported = import_checkpoint(str(path), load_alphabet())
    after_import, peak_import = time.perf_counter(), peak_bytes()
    imported.model.save_to(str(Path(folder) / "imported.nemo"))
    after_save = time.perf_counter()
    size = weight_file(path).stat().st_size
    print("\n".join(imported.report), file=sys.stderr)
    row = {
        "import_s": round(after_import - began, 2),
        "save_s": round(after_save - after_import, 2),
        "libraries_bytes": libraries,
        "peak_import_over_checkpoint": round((peak_import - libraries) / size, 2),
        "peak_over_checkpoint": round((peak_bytes() - libraries) / size, 2),
        "nemo_bytes": (Path(folder) / "imported.nemo").stat().st_size,
        "import_proof": dict(imported.model.cfg.import_proof),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
