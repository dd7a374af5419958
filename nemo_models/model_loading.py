"""Restoring a CTC model for inference, on the device and in the number format that the user asked for."""

import tarfile
from pathlib import Path

import torch
from nemo.collections.asr.models import ASRModel, EncDecCTCModel

from nemo_models.nemo_file import read_nemo_config

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(cuda: int | None = None) -> torch.device:
    """Choose where to compute, by NeMo's rule.

    Args:
        cuda: `None`: the first CUDA device where there is one, else the CPU; negative: the CPU; else that CUDA device.

    Raises:
        ValueError: There is no such CUDA device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if cuda is None:
        cuda = 0 if count else -1
    if cuda >= count:
        raise ValueError(f"cuda={cuda}, but this machine has {count} CUDA devices; cuda=-1 computes on the CPU")
    return torch.device("cpu") if cuda < 0 else torch.device("cuda", cuda)


def load_ctc_model(
    model_path: Path | None, pretrained_name: str | None = None, device: torch.device | None = None
) -> EncDecCTCModel:
    """Restore a CTC model from a `.nemo` file, or from NVIDIA's or Hugging Face's hub by name, ready for inference.

    Args:
        model_path: The `.nemo` file, or
        pretrained_name: what NeMo's `from_pretrained` takes. One of the two.
        device: Where the model goes; `None`: the CPU.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Neither or both are given, the file cannot be restored, or the model is not a CTC model.
    """
    if (model_path is None) == (pretrained_name is None):
        raise ValueError("give either model_path (a .nemo file) or pretrained_name (a name on a model hub)")
    device = device or torch.device("cpu")
    if model_path is not None:
        read_nemo_config(model_path)  # tells a missing or foreign file in one line
        try:
            model = ASRModel.restore_from(str(model_path), map_location=device)
        except (tarfile.TarError, EOFError, RuntimeError) as error:
            raise ValueError(f"{model_path}: cannot be restored, damaged? ({str(error).splitlines()[0]})") from error
    else:
        try:
            model = ASRModel.from_pretrained(str(pretrained_name), map_location=device)
        except FileNotFoundError as error:
            raise ValueError(f"pretrained_name={pretrained_name}: {str(error).splitlines()[0]}") from error
    if not isinstance(model, EncDecCTCModel):
        raise ValueError(f"{model_path or pretrained_name}: a {type(model).__name__}, expected a CTC model")
    return model.to(device).eval()


def set_compute_dtype(
    model: EncDecCTCModel, compute_dtype: str | None = None, amp: bool = False, amp_dtype: str = "float16"
) -> torch.dtype | None:
    """Apply NeMo's two ways to compute in fewer bits.

    Args:
        model: Changed in place: with `compute_dtype`, its weights are converted.
        compute_dtype: `float32`, `bfloat16` or `float16`; `None` is float32.
        amp: Leave the weights in float32 and compute in `amp_dtype` where that is safe.
        amp_dtype: `float16` or `bfloat16`.

    Returns:
        The type for `torch.autocast`, `None` for float32 throughout.

    Raises:
        ValueError: An unknown type, or both ways at once.
    """
    for key, name in (("compute_dtype", compute_dtype or "float32"), ("amp_dtype", amp_dtype)):
        if name not in DTYPES:
            raise ValueError(f"{key} is {name}, expected one of {', '.join(DTYPES)}")
    dtype = DTYPES[compute_dtype or "float32"]
    if amp and dtype is not torch.float32:
        raise ValueError(
            f"amp=true computes with float32 weights, compute_dtype={compute_dtype} converts them; choose one"
        )
    if amp:
        return DTYPES[amp_dtype] if amp_dtype != "float32" else None
    model.to(dtype)
    return dtype if dtype is not torch.float32 else None
