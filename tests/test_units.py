"""Whether a report speaks of epochs or of steps, and that no words but its own are changed."""

import numpy as np
import pytest
from report_stories import alone, said, search, trials

from trivet.reporting.model import (
    Axis,
    Bullets,
    Cell,
    Chart,
    Code,
    Command,
    Explorer,
    Facts,
    Layer,
    Panel,
    Paragraph,
    Section,
    Strong,
    Table,
)
from trivet.reporting.units import Quoted, in_steps, unit


@pytest.mark.parametrize(
    ("config", "step", "expected"),
    [
        ({"epochs": 20}, 20.0, "epoch"), ({"epochs": 30}, 20.0, "epoch"), ({"epochs": 19}, 20.0, "step"), ({"epochs": 30}, 2000.0, "step"),
        ({"trainer": {"max_epochs": 20}}, 20.0, "epoch"),
        ({"trainer.max_epochs": 20}, 19.0, "epoch"), ({"num_train_epochs": 20.0}, 20.0, "epoch"),
        ({"train": {"nEpochs": 20}}, 20.0, "epoch"), ({"a": {"b": {"num_epochs": 20}}}, 20.0, "epoch"), ({"max_steps": 20}, 20.0, "step"),
        ({"epochs": True}, 1.0, "step"), ({"epochs": "20"}, 20.0, "step"), ({"warmup_epochs": 20}, 20.0, "step"), ({}, 20.0, "step"),
        (None, 20.0, "step"), ({"epochs": 20}, np.nan, ""), ({"epochs": 20}, 0.0, ""),
    ],
)  # fmt: skip
def test_epochs_are_those_that_the_config_counts(config, step, expected):
    assert unit(search(trials([0.5, 0.6], step=step), config=config)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("after epoch 3 of 20 epochs", "after step 3 of 20 steps"), ("Best epoch", "Best step"),
        ("Epochs without pruning", "Steps without pruning"),
        ("for more than an epoch", "for more than a step"), ("An epoch of each", "A step of each"), ("each epoch.", "each step."),
        ("epoch_time falls with max_epochs and trainer.epochs", "epoch_time falls with max_epochs and trainer.epochs"),
        ("set epochs=30 or val/epoch", "set epochs=30 or val/epoch"),
    ],
)  # fmt: skip
def test_what_is_ours_says_steps(text, expected):
    assert in_steps(text) == expected


def test_code_commands_and_quotations_stay():
    chart = Chart(
        "c", "by epoch", [Panel(Axis("epoch"), Axis("x"), [Layer("line", [1], [2], "epochs", hover=["epoch 1"])])], "an epoch", "epochs"
    )
    blocks = [
        Paragraph((Strong("An epoch"), " is an ", Code("epoch"), Quoted("died in epoch 3"))), Bullets((("epochs",), (Code("epochs"),))),
        Command("train epochs=3", "for 3 epochs"), Facts((("Epochs", ("epoch", Code("epoch"))),)), chart,
        Explorer({"epoch": ["epoch"]}, "an epoch"),
        Table(("Epochs", "x"), ((Cell("epoch 3", 3.0), Cell("epochs", code=True)),), "By epoch", ("Epochs",)),
    ]  # fmt: skip
    section = in_steps([Section("went", "Epochs", blocks)])[0]
    text, bullets, command, facts, drawn, explorer, table = section.blocks
    assert section.title == "Steps" and text.parts == (Strong("A step"), " is an ", Code("epoch"), "died in epoch 3")
    assert bullets.items == (("steps",), (Code("epochs"),)) and command == Command("train epochs=3", "for 3 steps")
    assert facts.rows == (("Steps", ("step", Code("epoch"))),) and explorer == Explorer({"epoch": ["epoch"]}, "a step")
    assert table.columns == ("Steps", "x") and table.numeric == ("Steps",) and table.caption == "By step"
    assert table.rows == ((Cell("step 3", 3.0), Cell("epochs", code=True)),)
    layer = drawn.panels[0].layers[0]
    assert (drawn.title, drawn.alt, drawn.note, drawn.panels[0].x.label, layer.name, layer.hover) == (
        "by step",
        "a step",
        "steps",
        "step",
        "steps",
        ["step 1"],
    )
    assert chart.title == "by epoch" and list(layer.x) == [1]


def test_a_report_in_steps_has_no_word_of_epochs_but_in_messages():
    frame = trials(np.linspace(0.5, 0.9, 24), step=300.0, best_step=100.0)
    frame.loc[frame.index[:12], ["state", "value", "reason"]] = ["FAIL", np.nan, "ValueError: no epoch left"]
    text = said(alone(search(frame, config={"batches": 300})))
    assert [line for line in text.splitlines() if "poch" in line and "12 times: ValueError: no epoch left" not in line] == []
    assert "12 times: ValueError: no epoch left" in text and "7,200 steps of training" in text


def test_a_report_of_nothing_reported_counts_no_epochs():
    text = said(alone(search(trials(np.linspace(0.5, 0.9, 24), step=np.nan, best_step=np.nan), config={"epochs": 20})))
    assert "poch" not in text.replace("best epoch of at least", "") and "0 steps" not in text
    assert "24 ran to the end, 0 were stopped early (pruned), 0 failed. They took 24 s." in text
    assert "24 s at the pace of this run" in text and "| Search | Time | Time with one worker |" in text
