"""The shipped recipes, composed as on the command line."""

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from project import ROOT


def load_recipe(name: str, *overrides: str) -> DictConfig:
    """Compose a recipe of `conf/`; keys may be added to the result."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose(name, overrides=list(overrides))
    OmegaConf.set_struct(cfg, False)
    return cfg
