"""Start a process sooner: keep torch's compiler out of a training that compiles nothing.

torch 2.13 imports torch._dynamo (3 s, more than torch itself takes) when the first optimizer is made, to mark a few of its methods as not
to be compiled, and in each step, to call a function that does nothing outside compiled code. Each worker of a sweep would pay for it.
A model that uses torch.compile imports the compiler then, and works.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch


def keep_compiler_out() -> None:
    """Unwrap those methods of torch.optim. What a step computes stays the same.

    Does nothing where the compiler is there already, and passes over methods that are not wrapped like that (another torch).
    """
    if "torch._dynamo" in sys.modules:
        return
    for method in vars(torch.optim.Optimizer).values():
        if _wrapped_in(method, "_compile.py"):
            method.__wrapped__.__dict__.setdefault("__dynamo_disable", method.__wrapped__)  # what the wrapper looks for before it imports
    for cls in vars(torch.optim).values():
        if inspect.isclass(cls) and _wrapped_in(vars(cls).get("step"), "optimizer.py"):
            optimizer: Any = cls
            optimizer.step = _without_graph_break(optimizer.step)


def _wrapped_in(method: Any, file: str) -> bool:
    code = getattr(method, "__code__", None)
    return code is not None and hasattr(method, "__wrapped__") and code.co_filename.endswith(file)


def _without_graph_break(step: Any) -> Callable:
    inner = step.__wrapped__

    @functools.wraps(inner)
    def plain_step(self: torch.optim.Optimizer, closure: Callable | None = None) -> Any:
        if self.defaults.get("differentiable"):
            return step(self, closure)
        with torch.no_grad():
            return inner(self, closure)

    return plain_step
