"""Every combination of conf/'s choices as a tiny training, and the check that stopping it anywhere changes no bit of its result."""

import itertools
import shutil

import torch
from small_training import blobs, config, line, numbers
from test_conf_choices import CONF, node

from trivet import space, training
from trivet.training import checkpoint, losses
from trivet.training.settings import FIELDS

GROUPS = ("model", "optimizer", "schedule", "loss")
FACTORS = {group: sorted(path.stem for path in (CONF / group).glob("*.yaml")) for group in GROUPS}
FACTORS["precision"] = list(FIELDS["precision"].values)
SMALL = {"channels": 8, "width": 16, "depth": 1, "heads": 2}  # in place of conf's sizes; channels_last matters from 2 channels on
UNTOUCHED = {*SMALL, "lr"}  # a rate from the ends of its range diverges
SHAPES = ((1, 16), (2, 8, 8))
EPOCHS = 3


def product():
    """All combinations, as tuples in the order of FACTORS."""
    return list(itertools.product(*FACTORS.values()))


def pairwise(cases, rng):
    """Few of the cases, which have every pair of choices that any case has."""

    def pairs(case):
        return {(i, j, case[i], case[j]) for i, j in itertools.combinations(range(len(case)), 2)}

    missing, chosen = set().union(*map(pairs, cases)), []
    while missing:
        chosen.append(max(rng.sample(cases, min(len(cases), 200)), key=lambda case: len(pairs(case) & missing)))
        missing -= pairs(chosen[-1])
    return chosen


def draw(spec, rng):
    """A value of a range."""
    if isinstance(spec, space.Choice):
        return rng.choice(spec.options)
    return rng.randint(spec.low, spec.high) if isinstance(spec, space.Int) else rng.uniform(spec.low, spec.high)


def tiny(case, rng):
    """The training of a combination, and its data: other values drawn from the choices' own ranges, sizes small."""
    choices = dict(zip(FACTORS, case, strict=True))
    nodes = {group: node_of(group, choices[group]) for group in GROUPS}
    for content in nodes.values():
        for key, text in (content.get("space") or {}).items():
            if key not in UNTOUCHED:
                content[key] = draw(space.parse(text, key), rng)
    nodes["model"] |= {key: value for key, value in SMALL.items() if key in nodes["model"]}
    nodes["optimizer"]["lr"] /= 10  # conf's own diverges on data as small as this
    if nodes["optimizer"]["lookahead"] is None:
        nodes["optimizer"]["lookahead"] = rng.choice([None, None, 2])
    shape, task = rng.choice(SHAPES), losses.TASKS[nodes["loss"]["name"]]
    data = blobs(n_train=20, n_val=12, shape=shape) if task == "classification" else line(n=32, n_train=20, shape=shape)
    changes = {"precision": choices["precision"], "epochs": EPOCHS, "batch_size": 8, "clip_norm": rng.choice([None, 1.0])}
    changes |= {"patience": rng.choice([None, EPOCHS - 1]), "metric": "val/loss", "direction": "minimize"}
    return config(**changes, **nodes), data


_NODES = {}


def node_of(group, name):
    """A copy of the choice's content; Hydra composes each once."""
    if (group, name) not in _NODES:
        _NODES[group, name] = node(group, name)
    return dict(_NODES[group, name])


def check(config, data, stop, folder, mutate=None):
    """Train in one go, and again from the checkpoint of epoch `stop`: AssertionError where a bit of curves or weights differs.

    `mutate(state)` changes what the checkpoint holds, between the two.
    """
    one, other = folder / "one", folder / "other"
    one.mkdir(parents=True)
    other.mkdir()

    def keep(_, step, __):
        if step == stop:
            shutil.copy(one / checkpoint.NAME, other)

    whole = training.train(config, data, keep, one)
    assert (other / checkpoint.NAME).exists(), f"the run was over before epoch {stop}"
    if mutate is not None:
        change(other / checkpoint.NAME, mutate)
    again = training.train(config, data, None, other)
    # by repr: a gradient that overflows in fp16 has a norm of NaN
    assert repr(again.curves[:stop]) == repr(whole.curves[:stop]), "seconds included: these epochs come from the checkpoint"
    assert repr(numbers(again.curves)) == repr(numbers(whole.curves))
    assert (again.value, again.best_step, list(again.state)) == (whole.value, whole.best_step, list(whole.state))
    for name, value in whole.state.items():
        assert torch.equal(again.state[name], value), name
        assert again.state[name].stride() == value.stride(), name


def change(path, mutate):
    """Rewrite a checkpoint with what `mutate` makes of its state."""
    content = torch.load(path, weights_only=True)
    state = checkpoint.unpack(content["tree"], content["flat"], torch.device("cpu"))
    mutate(state)
    checkpoint.save(path.parent, content["identity"], state)
