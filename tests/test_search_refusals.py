"""What a sampler and a pruner refuse, word for word; and what is just allowed."""

import math
import warnings

import numpy as np
import optuna
import pytest

from trivet import space
from trivet.errors import UserError
from trivet.search import own, pruning
from trivet.search.gp import Process
from trivet.search.samplers import DEFAULTS, SamplerSpec, sampler_spec
from trivet.search.sampling import Sampler

X = [space.Param("x", space.Float(0.0, 1.0))]
HERE = f"{__name__}."
PRUNERS = "must be one of none, median, percentile, asha, successive_halving, hyperband, threshold, patient, limit"
SAMPLERS = "must be one of tpe, random, qmc, optuna_gp, cmaes, nsgaii, gp, auto, grid, list, ends, ladder, tiers, ablation, pbt, replay"
PERCENT = "must be a number above 0 and below 100 (pruner percentile)"
COUNT = "must be a whole number >= 0"
GAPS = "steps must be whole numbers >= 1 and gaps numbers >= 0 (pruner threshold)"
OBJECT = "takes an object of Python, which no config gives; leave it out"


def refused(make, *given):
    with pytest.raises(UserError) as error:
        make(*given)
    return str(error.value)


# Pruners ----------


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ("mdian", f"pruner.name='mdian': {PRUNERS}"),
        ({"percentile": 3}, f"pruner.name=None: {PRUNERS}"),
        ({"name": "none", "percentile": 3}, f"pruner.name='none': {PRUNERS}"),
        (3, f"pruner=3: must be a name or a mapping with `name`, {PRUNERS.removeprefix('must be ')}"),
        (
            {"name": "median", "rate": 2},
            "pruner.rate: median has no such argument; it takes percentile, n_startup_trials, n_warmup_steps, interval_steps",
        ),
        ({"name": "percentile", "percentile": 0}, f"pruner.percentile=0: {PERCENT}"),
        ({"name": "percentile", "percentile": 100}, f"pruner.percentile=100: {PERCENT}"),
        ({"name": "percentile", "percentile": "x"}, f"pruner.percentile='x': {PERCENT}"),
        ({"name": "median", "n_startup_trials": 0}, "pruner.n_startup_trials=0: must be a whole number >= 1 (pruner median)"),
        ({"name": "median", "n_startup_trials": True}, "pruner.n_startup_trials=True: must be a whole number >= 1 (pruner median)"),
        ({"name": "median", "n_warmup_steps": -1}, "pruner.n_warmup_steps=-1: must be a whole number >= 0 (pruner median)"),
        ({"name": "median", "interval_steps": 0}, "pruner.interval_steps=0: must be a whole number >= 1 (pruner median)"),
        ({"name": "asha", "min_resource": 0}, "pruner.min_resource=0: must be a whole number >= 1 (pruner asha)"),
        ({"name": "asha", "max_resource": 0}, "pruner.max_resource=0: must be a whole number >= 1 (pruner asha)"),
        ({"name": "asha", "reduction_factor": 1}, "pruner.reduction_factor=1: must be a whole number >= 2 (pruner asha)"),
        (
            {"name": "asha", "min_early_stopping_rate": -1},
            "pruner.min_early_stopping_rate=-1: must be a whole number >= 0 (pruner asha)",
        ),
        ({"name": "asha", "bootstrap_count": -1}, f"pruner.bootstrap_count=-1: {COUNT} (pruner asha)"),
        ({"name": "successive_halving", "bootstrap_count": -1}, f"pruner.bootstrap_count=-1: {COUNT} (pruner successive_halving)"),
        (
            {"name": "patient", "pruner": {"name": "asha", "reduction_factor": 1}},
            "pruner.reduction_factor=1: must be a whole number >= 2 (pruner asha)",
        ),
        ({"name": "hyperband", "min_resource": 0}, "pruner.min_resource=0: must be a whole number >= 1 (pruner hyperband)"),
        ({"name": "hyperband", "max_resource": 0}, "pruner.max_resource=0: must be a whole number >= 1 (pruner hyperband)"),
        (
            {"name": "hyperband", "max_resource": 2, "min_resource": 3},
            "pruner.max_resource=2: must be >= min_resource=3 (pruner hyperband)",
        ),
        ({"name": "hyperband", "reduction_factor": 1}, "pruner.reduction_factor=1: must be a whole number >= 2 (pruner hyperband)"),
        ("threshold", "pruner.gaps={}: must be a table of step: gap, such as {3: 0.2, 10: 0.05} (pruner threshold)"),
        ({"name": "threshold", "gaps": {0: 0.3}}, f"pruner.gaps={{0: 0.3}}: {GAPS}"),
        ({"name": "threshold", "gaps": {"x": 0.3}}, f"pruner.gaps={{'x': 0.3}}: {GAPS}"),
        ({"name": "threshold", "gaps": {3: -0.3}}, f"pruner.gaps={{3: -0.3}}: {GAPS}"),
        ({"name": "threshold", "gaps": {3: True}}, f"pruner.gaps={{3: True}}: {GAPS}"),
        ({"name": "patient", "patience": 0}, "pruner.patience=0: must be a whole number >= 1 (pruner patient)"),
        ({"name": "patient", "min_delta": -1}, "pruner.min_delta=-1: must be a number >= 0 (pruner patient)"),
        ({"name": "patient", "min_delta": True}, "pruner.min_delta=True: must be a number >= 0 (pruner patient)"),
        ({"name": "limit", "max_step": 0}, "pruner.max_step=0: must be a whole number >= 1 (pruner limit)"),
    ],
    ids=str,
)
def test_pruners(config, line):
    assert refused(pruning.build, config) == line


@pytest.mark.parametrize(
    ("config", "made"),
    [
        ("median", pruning.Median(50.0, 4, 0, 1)),
        ("percentile", pruning.Percentile(25.0, 4, 0, 1)),
        ("asha", pruning.SuccessiveHalving(None, 3, 0, None, 0)),
        ("hyperband", pruning.Hyperband(30, 1, 3)),
        ("patient", pruning.Patient(3, 0.0, None)),
        ("limit", pruning.Limit(1)),
        ({"name": "percentile", "percentile": 0.1}, pruning.Percentile(0.1)),
        ({"name": "percentile", "percentile": 99.9}, pruning.Percentile(99.9)),
        ({"name": "hyperband", "max_resource": 1}, pruning.Hyperband(1, 1)),
        ({"name": "hyperband", "max_resource": 3, "min_resource": 3, "reduction_factor": 2}, pruning.Hyperband(3, 3, 2)),
        ({"name": "asha", "min_resource": 1, "max_resource": 1, "reduction_factor": 2}, pruning.SuccessiveHalving(1, 2, 0, 1)),
        ({"name": "threshold", "gaps": {1: 0}}, pruning.Threshold({1: 0})),
        ({"name": "patient", "patience": 1, "min_delta": 0, "pruner": "median"}, pruning.Patient(1, 0, pruning.Median())),
        *((nothing, None) for nothing in (None, "none", {"name": "none"}, {"name": None}, {})),
    ],
    ids=str,
)
def test_what_a_name_and_its_arguments_make(config, made):
    assert pruning.build(config) == made


# Samplers ----------


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (3, "hydra.sweeper.sampler=3: must be a name or a mapping with `name`"),
        ("tpee", f"hydra.sweeper.sampler='tpee': {SAMPLERS}"),
        ({}, f"hydra.sweeper.sampler=None: {SAMPLERS}"),
        ({"_target_": "Foo"}, f"hydra.sweeper.sampler='Foo': {SAMPLERS}"),
        ({"name": "tpe", "seed": -1}, "hydra.sweeper.sampler.seed=-1: must be a whole number >= 0"),
        ({"name": "tpe", "seed": True}, "hydra.sweeper.sampler.seed=True: must be a whole number >= 0"),
        ({"name": "random", "z": 1, "b": 2}, "hydra.sweeper.sampler.b: random has no such argument; it takes seed"),
        ({"name": "tpe", "multivariate": "yes"}, "hydra.sweeper.sampler.multivariate=yes: must be true or false"),
        ({"name": "tpe", "gamma": 3}, f"hydra.sweeper.sampler.gamma=3: {OBJECT}"),
        *(
            ({"name": "tpe", key: 3}, f"hydra.sweeper.sampler.{key}=3: {OBJECT}")
            for key in ("weights", "constraints_func")
        ),
        *(
            ({"name": "nsgaii", key: 3}, f"hydra.sweeper.sampler.{key}=3: {OBJECT}")
            for key in ("crossover", "mutation", "child_generation_strategy", "after_trial_strategy", "elite_population_selection_strategy")
        ),
        *(({"name": "cmaes", key: 3}, f"hydra.sweeper.sampler.{key}=3: {OBJECT}") for key in ("independent_sampler", "source_trials")),
        *(
            ({"name": name, "z": 1}, f"hydra.sweeper.sampler.z: {name} has no such argument; it takes {takes}")
            for name, takes in {
                "gp": "n_startup_trials, prior_confidence",
                "auto": "n_startup_trials",
                "grid": "limit",
                "list": "file, trials",
                "ends": "none",
                "ladder": "key, metric, most, start",
                "tiers": "sampler, tiers, trials",
                "ablation": "of, seed_key, seeds",
                "pbt": "change, hold, interval, perturb, population, quantile, resample, steps",
                "replay": "of",
            }.items()
        ),
    ],
    ids=str,
)  # fmt: skip
def test_samplers(config, line):
    assert refused(sampler_spec, config) == line


@pytest.mark.parametrize(
    ("config", "spec", "lines"),
    [
        ("tpe", ("tpe", {"multivariate": True, "group": True, "constant_liar": False, "n_startup_trials": 10, "n_ei_candidates": 24}), []),
        ("qmc", ("qmc", {"qmc_type": "sobol", "scramble": True}), []),
        ("gp", ("gp", {"n_startup_trials": 6}), []),
        ({"_target_": "optuna.samplers.QMCSampler", "scramble": False}, ("qmc", {"qmc_type": "sobol", "scramble": False}), []),
        ({"_target_": "TPESampler"}, ("tpe", DEFAULTS["tpe"]), []),
        ({"_target_": "optuna.samplers.MOTPESampler", "n_ehvi_candidates": 3}, ("tpe", {**DEFAULTS["tpe"], "n_ei_candidates": 3}), []),
        ({"_target_": "optuna.samplers.GridSampler", "search_space": {"x": [1]}}, ("grid", {}), []),
        ({"name": "tpe", "_partial_": True, "_convert_": "all", "_recursive_": False, "defaults": []}, ("tpe", DEFAULTS["tpe"]), []),
        # what the stock schema brings along is dropped in silence at its own value, at our value, and as null; else it is told
        ({"_target_": "optuna.samplers.TPESampler", "consider_prior": True, "prior_weight": 1.0, "consider_magic_clip": True,
          "consider_endpoints": False, "multivariate": False, "warn_independent_sampling": True}, ("tpe", DEFAULTS["tpe"]), []),
        ({"_target_": "optuna.samplers.TPESampler", "multivariate": True, "n_startup_trials": None}, ("tpe", DEFAULTS["tpe"]), []),
        ({"_target_": "optuna.samplers.CmaEsSampler", "inc_popsize": 2, "restart_strategy": None, "sigma0": 0.2},
         ("cmaes", {"sigma0": 0.2}), []),
        ({"_target_": "optuna.samplers.CmaEsSampler", "inc_popsize": 3, "restart_strategy": "ipop"}, ("cmaes", {}),
         ["inc_popsize=3", "restart_strategy=ipop"]),
        ({"_target_": "optuna.samplers.TPESampler", "gamma": 3, "weights": 4}, ("tpe", DEFAULTS["tpe"]), ["gamma=3", "weights=4"]),
        ({"_target_": "optuna.samplers.TPESampler", "prior_weight": 2.0}, ("tpe", DEFAULTS["tpe"]), ["prior_weight=2.0"]),
        ({"_target_": "optuna.samplers.TPESampler", "consider_endpoints": True}, ("tpe", DEFAULTS["tpe"]), ["consider_endpoints=True"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_taken_over_and_what_is_told(config, spec, lines):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert sampler_spec(config)[0] == SamplerSpec(*spec)
    told = "not taken over, as Optuna " + optuna.__version__ + " knows no such choice"
    assert [str(w.message) for w in heard] == [f"hydra.sweeper.sampler.{line}: {told}" for line in lines]


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"name": "nsgaii", "population_size": 1}, "`population_size` must be greater than or equal to 2."),
        ({"name": "qmc", "qmc_type": "z", "scramble": True}, "The `qmc_type='z'` is invalid. Choose either `halton` or `sobol`."),
        ({"name": "cmaes", "sigma0": "a"}, "'>' not supported between instances of 'float' and 'str'"),
    ],
)
def test_what_a_sampler_refuses_itself_is_told_with_its_arguments(config, line):
    assert refused(Sampler(sampler_spec(config)[0], X, ["minimize"], 0).try_out) == f"hydra.sweeper.sampler={config}: {line}"


@pytest.mark.parametrize("n", [-1, True, 2.5, "3"])
def test_startup_trials_of_a_gaussian_process(n):
    line = f"hydra.sweeper.sampler.n_startup_trials={n}: must be a whole number >= 0 (sampler gp)"
    assert refused(Process, X, {}, True, 0, n) == line
    Process(X, {}, True, 0, 0)


def test_a_gaussian_process_has_one_objective():
    line = "hydra.sweeper.sampler=gp: takes a single objective; use tpe, nsgaii or optuna_gp, or give one direction"
    assert refused(Sampler, sampler_spec("gp")[0], X, ["minimize"] * 2, 0) == line


# One's own ----------


@pytest.mark.parametrize(
    "merged",
    [
        {"name": "tpe", "multivariate": True, "n_startup_trials": 10},
        {"name": "gp", "n_startup_trials": 6, "prior_confidence": "low"},
        {"name": "pbt", "population": 4, "interval": 2},
    ],
)
def test_arguments_of_the_sampler_that_a_path_was_merged_over_go_where_the_path_does_not_take_them(merged):
    given = {k: v for k, v in merged.items() if k != "name"}
    assert sampler_spec({**merged, "_target_": HERE + "anything", "seed": 3}) == (SamplerSpec(HERE + "anything", given), 3)
    assert sampler_spec({**merged, "_target_": HERE + "Unseeded"})[0] == SamplerSpec(HERE + "Unseeded", {})
    assert sampler_spec({**merged, "_target_": HERE + "Unseeded", "z": 1})[0] == SamplerSpec(HERE + "Unseeded", {"z": 1})  # a mistake


def anything(**arguments):
    return optuna.samplers.RandomSampler()


class Sampling(optuna.samplers.RandomSampler):
    def after_trial(self, study, trial, state, values):
        raise AssertionError


class Unseeded(optuna.samplers.RandomSampler):
    def __init__(self):
        super().__init__()


class Prune:
    def __init__(self, *answers):
        self.answers = list(answers)

    def prune(self, number, steps, values, peers):
        return values[-1] < 0


class Forgetful(Prune):
    def prune(self, number, steps, values, peers):
        self.answers.append(number)
        return len(self.answers) % 2 == 0


class Talking(Prune):
    def prune(self, number, steps, values, peers):
        return "yes " * 40


class Raising(Prune):
    def prune(self, number, steps, values, peers):
        if steps[-1] == 3:
            raise KeyError("gone")
        return False


class Unknown(optuna.pruners.NopPruner):
    pass


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (
            "Forgetful",
            "gave other verdicts when asked the same 24 questions again; a verdict must follow from number, steps, values and peers alone, "
            "without random numbers, memory or the clock",
        ),
        ("Talking", f"prune gave {('yes ' * 40)[:60]!r}; must give true or false"),
        ("Raising", "KeyError: 'gone' (trial 0 at step 3)"),
        ("Sampling", "has no method prune(number, steps, values, peers)"),
        (
            "Unknown",
            "a pruner of Optuna's looks at trials that happen to run; write it with prune(number, steps, values, peers)",
        ),
    ],
)
def test_pruners_of_ones_own(path, line):
    assert refused(pruning.build, HERE + path) == f"hydra.sweeper.pruner={HERE}{path}: {line}"


OPTUNAS = {
    **{"Median": "median", "Percentile": "percentile", "SuccessiveHalving": "asha", "Hyperband": "hyperband"},
    **{"Patient": "patient", "Nop": "none", "Threshold": "threshold", "Wilcoxon": "median"},
}
ARGUMENTS = {
    "Percentile": {"percentile": 25.0},
    "Patient": {"patience": 1, "wrapped_pruner": None},
    "Threshold": {"lower": 0.0},
}


@pytest.mark.parametrize("name", OPTUNAS)
def test_of_each_pruner_of_optunas_there_is_one_to_take_instead(name):
    path = f"optuna.pruners.{name}Pruner"
    line = f"hydra.sweeper.pruner={path}: a pruner of Optuna's looks at trials that happen to run; take pruner.name={OPTUNAS[name]}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert refused(pruning.build, {"_target_": path, **ARGUMENTS.get(name, {})}) == line
    pruning.build({"name": OPTUNAS[name], **({"gaps": {1: 0.1}} if OPTUNAS[name] == "threshold" else {})})


def test_samplers_of_ones_own(caplog):
    line = refused(Sampler(sampler_spec({"_target_": HERE + "Unseeded"})[0], X, ["minimize"], 0).try_out)
    assert line.startswith(f"hydra.sweeper.sampler={HERE}Unseeded: proposed {{'x': 0.") and line.endswith(
        "} for the same trial and history; let it take a `seed`, and draw every random number from that"
    )
    Sampler(sampler_spec({"_target_": "optuna.samplers.NSGAIIISampler"})[0], X, ["minimize"], 0).try_out()  # Optuna's may have theirs
    Sampler(sampler_spec({"_target_": HERE + "Sampling"})[0], X, ["minimize"], 0).try_out()
    assert [record.getMessage() for record in caplog.records] == [
        f"hydra.sweeper.sampler={HERE}Sampling: its after_trial is not called, as a sampler is made anew for each trial; "
        "read study.get_trials() instead"
    ]
    line = f"hydra.sweeper.sampler={HERE}Prune: gives a Prune; must give an optuna.samplers.BaseSampler"
    assert refused(Sampler(sampler_spec({"_target_": HERE + "Prune"})[0], X, ["minimize"], 0).try_out) == line
    assert refused(pruning.build, {"_target_": "Alone"}) == "hydra.sweeper.pruner._target_=Alone: must be a dotted path, module.Class"


def test_what_an_own_pruner_is_asked_about_beforehand():
    """Trials 0, 1, 4 and 30 at steps 1 to 6; a third of the trials before each are cut from step 3 on."""
    asked = own._questions()
    assert [(number, steps) for number, steps, *_ in asked] == [(n, list(range(1, s + 1))) for n in (0, 1, 4, 30) for s in range(1, 7)]
    assert all(len(values) == len(steps) and len(set(values)) == len(values) for _, steps, values, _ in asked)
    rises = [np.polyfit(steps, values, 1)[0] for _, steps, values, _ in asked if len(steps) == 6]
    assert 0 < np.mean(rises) < 0.5  # they rise on the whole, as those of a training
    for number, steps, _, peers in asked:
        numbers, at_step, bests = peers(steps[-1])
        assert numbers.tolist() == list(range(number))
        cut = [steps[-1] >= 3 and n % 3 == 0 for n in numbers]
        assert [value == -math.inf for value in at_step] == [best == -math.inf for best in bests] == cut
        before = [peers(step)[1] for step in steps]
        for n in numbers[[not c for c in cut]]:
            assert bests[n] == max(values[n] for values in before)
