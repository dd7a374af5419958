import math

import pytest
import torch
from nemo.core.optim.lr_scheduler import prepare_lr_scheduler

from nemo_models.optimization.tri_stage import TriStage

PEAK, HEAD_PEAK, STEPS = 1e-4, 1e-3, 200


def rates(steps: int, **settings: object) -> list[list[float]]:
    """Learning rates of encoder and head in each update, through NeMo's own registry."""
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:], "lr": HEAD_PEAK}], lr=PEAK)
    schedule = prepare_lr_scheduler(optimizer, {"name": "TriStage", "max_steps": STEPS, **settings})["scheduler"]
    found = []
    for _ in range(steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return found


def fairseq_rate(update: int, peak: float, warmup: int, hold: int, decay: int, init: float, final: float) -> float:
    """The published formula, stage by stage."""
    if update < warmup:
        return init * peak + (peak - init * peak) / warmup * update
    if update < warmup + hold:
        return peak
    if update <= warmup + hold + decay:
        return peak * math.exp(math.log(final) / decay * (update - warmup - hold))
    return final * peak


@pytest.mark.parametrize(("warmup", "hold"), [(0.1, 0.4), (0.05, 0.0), (0.0, 0.5)])
def test_rates_equal_fairseqs_for_each_group_and_peak(warmup: float, hold: float):
    found = rates(STEPS + 20, warmup_ratio=warmup, hold_ratio=hold, init_lr_scale=0.01, final_lr_scale=0.05)
    stages = (round(warmup * STEPS), round(hold * STEPS), STEPS - round((warmup + hold) * STEPS), 0.01, 0.05)
    for update, (encoder, head) in enumerate(found):
        assert encoder == pytest.approx(fairseq_rate(update, PEAK, *stages))
        assert head == pytest.approx(fairseq_rate(update, HEAD_PEAK, *stages))


def test_steps_instead_of_ratios():
    assert rates(STEPS, warmup_steps=20, hold_steps=80) == rates(STEPS, warmup_ratio=0.1, hold_ratio=0.4)


def test_state_resumes_at_the_same_rate():
    weight = torch.nn.Parameter(torch.zeros(1))

    def make() -> tuple[torch.optim.Optimizer, TriStage]:
        optimizer = torch.optim.SGD([weight], lr=PEAK)
        return optimizer, TriStage(optimizer, max_steps=STEPS, warmup_ratio=0.1, hold_ratio=0.4)

    optimizer, schedule = make()
    for _ in range(150):
        optimizer.step()
        schedule.step()
    again_optimizer, again = make()
    again_optimizer.load_state_dict(optimizer.state_dict())
    again.load_state_dict(schedule.state_dict())
    for either in (optimizer, again_optimizer):
        either.step()
    schedule.step()
    again.step()
    assert again_optimizer.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"] < PEAK / 2


def test_a_resumed_run_follows_the_current_schedule(caplog: pytest.LogCaptureFixture):
    def make(max_steps: int) -> TriStage:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
        return TriStage(optimizer, max_steps=max_steps, warmup_ratio=0.1, hold_ratio=0.4)

    short, long = make(6), make(40)
    long.load_state_dict(short.state_dict())
    assert (long.hold_steps, long.decay_steps) == (16, 20)
    assert "hold_steps 16" in caplog.text and "hold_steps 2" in caplog.text
    caplog.clear()
    make(40).load_state_dict(long.state_dict())
    assert not caplog.records


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warmup_ratio": 0.6, "hold_ratio": 0.4}, r"trainer\.max_steps=\d+: expected more than warm-up"),
        ({"warmup_ratio": 0.1, "warmup_steps": 5}, "expected only one of them"),
        ({"final_lr_scale": 0.0}, "expected shares of the peak"),
    ],
)
def test_contradicting_settings_are_named(settings: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        rates(1, **settings)
