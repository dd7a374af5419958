from pathlib import Path

import pytest
from matplotlib.figure import Figure

from nemo_models.training import curves


def test_the_picture_holds_loss_wer_learning_rates_and_blank_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: list[Figure] = []
    monkeypatch.setattr(curves, "Figure", lambda **settings: drawn.append(Figure(**settings)) or drawn[-1])
    names = {
        "loss": ("train_loss", "val_loss"),
        "WER": ("training_batch_wer", "val_wer"),
        "learning rate": ("learning_rate, peak 0.001", "learning_rate, peak 0.0001"),
        "blank share": ("train_blank_share",),
    }
    picture = curves.TrainingCurves(tmp_path / "curves.png")
    for at, name in enumerate(name for group in names.values() for name in group):
        picture.curves[name] = [(1, at + 0.25), (2, at + 0.5)]
    picture.draw()
    shown = {axes.get_title(): axes for axes in drawn[0].axes}
    assert {title: tuple(line.get_label() for line in axes.lines) for title, axes in shown.items()} == names
    assert list(shown["WER"].lines[1].get_ydata()) == [3.25, 3.5]
