"""Restoring a CTC model for inference, on the device and in the number format that the user asked for."""

import logging as standard_logging
import pickle
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from nemo.collections.asr.models import ASRModel, EncDecCTCModel
from nemo.core.connectors.save_restore_connector import SaveRestoreConnector
from nemo.utils import logging
from omegaconf import OmegaConf
from transformers.initialization import no_init_weights

from data_prep.arguments import require_choice
from nemo_models.files.nemo_file import read_nemo_config
from nemo_models.files.tensor_files import describe_blocked_pickle
from nemo_models.inference.acoustic_inference import FORMATS, check_format, pack_encoder, supports_packing
from nemo_models.inference.processor import warn_of_slow_format
from nemo_models.pretraining_model import XLSRPretrainingModel

logger = standard_logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEFAULT_FORMAT = "float32"


class _QuickRestore(SaveRestoreConnector):
    """Restores a model of XLSR-53's size in a third of the time: without random weights, and without copies.

    NeMo draws random weights first and then loads strictly, so that the file's weights replace all of them. Here the
    tensors of the file, which is mapped into memory, become the model's weights and are read when first needed.
    """

    def load_config_and_state_dict(self, *arguments: Any, **keywords: Any) -> Any:
        with no_init_weights():
            return super().load_config_and_state_dict(*arguments, **keywords)

    def load_instance_with_state_dict(self, instance: Any, state_dict: dict[str, Any], strict: bool) -> None:
        dtypes = {name: tensor.dtype for name, tensor in instance.state_dict().items()}
        state_dict = {name: tensor.to(dtypes.get(name, tensor.dtype)) for name, tensor in state_dict.items()}
        instance.load_state_dict(state_dict, strict=strict, assign=True)
        instance._set_model_restore_state(is_being_restored=False)

    @staticmethod
    def _load_state_dict_from_disk(model_weights: str, map_location: Any = "cpu") -> Any:
        mappable = zipfile.is_zipfile(model_weights)  # torch before 1.6 wrote another form
        return torch.load(model_weights, map_location=map_location, weights_only=True, mmap=mappable)


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
        raise ValueError(f"cuda={cuda}: expected a device below {count}, the CUDA devices here; cuda=-1 uses the CPU")
    return torch.device("cpu") if cuda < 0 else torch.device("cuda", cuda)


def load_ctc_model(
    model_path: Path | None, pretrained_name: str | None = None, device: torch.device | None = None
) -> EncDecCTCModel:
    """Restore a CTC model from a `.nemo` file, or from NVIDIA's or Hugging Face's hub by name, ready for inference.

    Args:
        model_path: The `.nemo` file; `None` with `pretrained_name`.
        pretrained_name: Name on a hub, see NeMo's `from_pretrained`; `None` with `model_path`.
        device: Device of the model; `None`: the CPU.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Neither or both are given, the file cannot be restored, or the model is not a CTC model.
    """
    if (model_path is None) == (pretrained_name is None):
        raise ValueError(
            f"model_path={model_path} pretrained_name={pretrained_name}: expected one of them; give model_path "
            "(a .nemo file) or pretrained_name (a name on a model hub)"
        )
    device = device or torch.device("cpu")
    if model_path is not None:
        model = _restore(model_path, device)
    else:
        try:
            model = ASRModel.from_pretrained(str(pretrained_name), map_location=device)
        except FileNotFoundError as error:
            raise ValueError(f"pretrained_name={pretrained_name}: {str(error).splitlines()[0]}") from error
    if not isinstance(model, EncDecCTCModel):
        raise ValueError(
            f"{model_path or pretrained_name}: found a {type(model).__name__}, expected a CTC model; choose another"
        )
    return model.to(device).eval()


def load_pretraining_model(model_path: Path) -> XLSRPretrainingModel:
    """Restore a pre-training model from its `.nemo` file, on the CPU.

    Args:
        model_path: The `.nemo` file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be restored, or the model is of another class.
    """
    model = _restore(model_path, torch.device("cpu"))
    if not isinstance(model, XLSRPretrainingModel):
        raise ValueError(f"{model_path}: found a {type(model).__name__}, expected an XLSRPretrainingModel; choose one")
    return model.eval()


def is_pretraining_model(model_path: Path) -> bool:
    """Whether a `.nemo` file holds a pre-training model; raises what `read_nemo_config` raises."""
    return str(read_nemo_config(model_path).get("target")).endswith(f".{XLSRPretrainingModel.__name__}")


def _restore(path: Path, device: torch.device) -> Any:
    """Restore a file; an error becomes one line, and NeMo's own messages are not printed."""
    config = read_nemo_config(path)
    try:
        with logging.temp_verbosity(logging.CRITICAL):
            return ASRModel.restore_from(str(path), map_location=device, save_restore_connector=_QuickRestore())
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path}: its weights are refused, {describe_blocked_pickle(error)}") from error
    except (tarfile.TarError, EOFError, RuntimeError, OSError) as error:
        reason = next(iter(str(error).splitlines()), "it ends too early")
        raise ValueError(f"{path}: found a file that NeMo cannot restore ({reason}); copy it again") from error
    except Exception as error:  # of hydra, omegaconf or a constructor, whichever meets an invalid setting
        raise ValueError(
            f"{path}: invalid value in its configuration ({_why(config, error)}); copy the file again"
        ) from error


def _why(config: Mapping[str, Any], error: Exception) -> str:
    """Say why a model cannot be built. NeMo raises another error than the first, so our model is built once more."""
    from nemo_models.ctc_model import XLSRCTCModel

    if config.get("target") == f"{XLSRCTCModel.__module__}.{XLSRCTCModel.__name__}":
        try:
            with no_init_weights():
                XLSRCTCModel(cfg=OmegaConf.create(dict(config)))
        except Exception as first:
            error = first
    cause = error.__cause__ if isinstance(error, InstantiationException) else error
    return " ".join(f"{type(cause).__name__}: {cause}".split())


def choose_number_format(model: EncDecCTCModel, compute_dtype: str | None = None) -> str:
    """Choose the number format to compute in: the requested one, else float32, which leaves every text as it is.

    A format that is slow on this processor is logged with a warning that names the fast ones.

    Args:
        model: A CTC model as it was loaded.
        compute_dtype: `float32`, `bfloat16`, `float16`, or on the CPU `int8`; `None` chooses.

    Raises:
        ValueError: The format is unknown, or not available for this processor or model.
    """
    number_format = compute_dtype or DEFAULT_FORMAT
    require_choice("compute_dtype", number_format, (*DTYPES, "int8"))
    if number_format == "int8":
        if not supports_packing(model.encoder):
            raise ValueError(
                "compute_dtype=int8: expected an encoder with XLSR-53's topology on the CPU (cuda=-1); "
                "use another format"
            )
        check_format(number_format)
    _warn_of_slow_format(model, "compute_dtype", number_format)
    return number_format


def _warn_of_slow_format(model: EncDecCTCModel, key: str, number_format: str) -> None:
    warning = warn_of_slow_format(key, number_format)
    if warning and next(model.parameters()).device.type == "cpu":
        logger.warning(warning)


def set_compute_dtype(
    model: EncDecCTCModel, compute_dtype: str | None = None, amp: bool = False, amp_dtype: str = "float16"
) -> torch.dtype | None:
    """Apply NeMo's two ways to compute in fewer bits; on the CPU, take the faster forward pass where it fits.

    Args:
        model: Changed in place, for inference only: its encoder is replaced (see `PackedEncoder`), or else its weights
            are converted.
        compute_dtype: See `choose_number_format`.
        amp: Leave the weights in float32 and compute in `amp_dtype` where that is safe.
        amp_dtype: `float16` or `bfloat16`.

    Returns:
        The type for `torch.autocast`; `None`: none is needed.

    Raises:
        ValueError: A type is unknown or not available for this processor or model, or both ways are requested.
    """
    require_choice("amp_dtype", amp_dtype, tuple(DTYPES))
    if amp and compute_dtype not in (None, "float32"):
        raise ValueError(
            f"compute_dtype={compute_dtype}: expected float32 or null beside amp=true, which keeps float32 weights; "
            "leave one of them out"
        )
    if amp:
        _warn_of_slow_format(model, "amp_dtype", amp_dtype)
        return DTYPES[amp_dtype] if amp_dtype != "float32" else None
    number_format = choose_number_format(model, compute_dtype)
    if number_format in FORMATS and supports_packing(model.encoder):
        pack_encoder(model, number_format)
        return None
    model.to(DTYPES[number_format])
    return DTYPES[number_format] if number_format != "float32" else None
