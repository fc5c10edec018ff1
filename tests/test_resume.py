"""A killed training goes on to the same bits, for every choice that conf/ has; and the check of that would notice if it did not."""

import random

import pytest
import torch
from resuming import EPOCHS, FACTORS, check, pairwise, product, tiny
from small_training import blobs, config

SEED = 0
PAIRS = pairwise(product(), random.Random(SEED))
N_SLOW = 150  # of the product of about 3,000, beside the pairs


def check_case(case, folder):
    """The seed of a case is its own, so that a failure comes again alone."""
    rng = random.Random(f"{SEED} {case}")
    check(*tiny(case, rng), rng.randrange(1, EPOCHS), folder)


def test_the_factors_are_what_conf_has():
    assert {"cnn", "resnet", "gru"} <= set(FACTORS["model"]) and {"fp32", "bf16", "fp16"} == set(FACTORS["precision"])
    assert {choice for case in PAIRS for choice in case} == {choice for choices in FACTORS.values() for choice in choices}


@pytest.mark.parametrize("case", PAIRS, ids="-".join)
def test_resume_changes_no_bit(case, tmp_path):
    check_case(case, tmp_path)


@pytest.mark.slow
def test_resume_changes_no_bit_in_a_large_sample(tmp_path):
    for i, case in enumerate(random.Random(SEED + 1).sample(product(), N_SLOW)):
        check_case(case, tmp_path / str(i))


CNN = {"name": "cnn", "channels": 4, "depth": 2, "kernel": 3, "norm": "batch"}
ADAM = {"optimizer": {"name": "adamw", "lr": 0.02}}
SGD = {"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "lookahead": 5}}
PLATEAU = {"schedule": {"name": "plateau", "factor": 0.5, "patience": 0, "threshold": 0.9}}
COSINE = {"schedule": {"name": "cosine", "warmup": 0.3}}


def moments(state):
    return state["optimizer"]["state"][0]


def contiguous(state):
    """What the checkpoints of old gave back."""
    for moment in state["optimizer"]["state"].values():
        moment.update({name: value.contiguous() for name, value in moment.items()})


def first_weight(tensors):
    return next(value for value in tensors.values() if value.is_floating_point())


MUTATIONS = {
    "a moment's strides": (ADAM, contiguous),
    "a first moment": (ADAM, lambda state: moments(state)["exp_avg"].zero_()),
    "a second moment": (ADAM, lambda state: moments(state)["exp_avg_sq"].mul_(2)),
    "all of a weight's moments": (ADAM, lambda state: state["optimizer"]["state"].pop(0)),
    "an optimizer's count of steps": (ADAM, lambda state: moments(state)["step"].add_(1)),
    "a momentum": (SGD, lambda state: state["optimizer"]["base_optimizer"]["state"][0]["momentum_buffer"].zero_()),
    "slow weights": (SGD, lambda state: state["optimizer"]["lookahead_state"][0, 0]["slow_params"].zero_()),
    "lookahead's count": (SGD, lambda state: state["optimizer"]["base_optimizer"]["param_groups"][0].update(counter=0)),
    "a channel's weights": (ADAM, lambda state: first_weight(state["model"])[0].mul_(1.01)),
    "batch norm's mean": (ADAM, lambda state: state["model"]["2.running_mean"].add_(1)),
    "best weights": (ADAM, lambda state: first_weight(state["best"]).zero_()),
    "best weights' strides": (ADAM, lambda state: state.update(best={name: value.contiguous() for name, value in state["best"].items()})),
    "the best epoch": (ADAM, lambda state: state.update(best_step=2)),
    "an epoch of the curves": (ADAM, lambda state: state["curves"].pop()),
    "the schedule's place": (COSINE, lambda state: state["schedule"]["by_batch"].update(last_epoch=1)),
    "plateau's patience": (PLATEAU, lambda state: state["schedule"]["by_epoch"].update(best=1e9)),
    "the scaler's scale": ({"precision": "fp16"}, lambda state: state["scaler"].update(scale=2.0**40)),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_changed_checkpoint_is_noticed(name, tmp_path):
    changes, mutate = MUTATIONS[name]
    c = config(model=CNN, epochs=4, metric="val/loss", direction="minimize", **changes)
    data = blobs(shape=(2, 16))
    data.val.y[:] = data.val.y.roll(1)  # what is learnt is wrong there: the first epoch is the best
    check(c, data, 2, tmp_path / "unchanged", lambda state: None)
    with pytest.raises(AssertionError):
        check(c, data, 2, tmp_path / "changed", mutate)


def test_other_strides_are_seen(tmp_path):
    """The mutation of strides above changes something: the weights are channels-last."""
    seen = []
    check(config(model=CNN), blobs(shape=(2, 16)), 2, tmp_path, lambda state: seen.extend(state["optimizer"]["state"].values()))
    assert any(not moment["exp_avg"].is_contiguous() for moment in seen)
    assert all(isinstance(moment["exp_avg"], torch.Tensor) for moment in seen)
