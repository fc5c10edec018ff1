"""run: the stages of dvc.yaml without DVC. Runs what changed since it last ran, in order, and nothing else.

    trivet run                  # all stages
    trivet run fine             # as far as this one
    trivet run --accept narrow  # take what a stage wrote, edited by hand, for its result

What was run is kept in trivet.lock: a stage is up to date while its command, dependencies, parameters and outputs are what they were.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trivet import app as description
from trivet import secrets
from trivet.errors import UserError
from trivet.phases import params, stages
from trivet.phases.stages import Stage
from trivet.study.tables import write_yaml

LOCK = "trivet.lock"
KNOWN = ("cmd", "deps", "outs", "params", "desc", "metrics", "plots", "meta")


def load(root: Path) -> tuple[list[Stage], dict[str, Any]]:
    """The stages in their order with the knobs put in, and the knobs: from dvc.yaml, or from trivet.yaml where dvc.yaml is another's."""
    path = root / "dvc.yaml"
    if not stages.is_ours(path):
        app = description.read(root)
        knobs = next((name for name in ("params.yaml", "trivet-params.yaml") if stages.has_knobs(root / name)), None)
        if knobs is None:
            raise UserError("no params.yaml here has the knobs of the pipeline; `trivet init` writes it")
        found, values = stages.stages(app, knobs), _yaml(root / knobs)
        params.check_knobs(values, knobs)
    else:
        content = _yaml(path)
        files = [entry for entry in content.get("vars") or [] if isinstance(entry, str)]
        values = {}
        for name in files or ["params.yaml"]:
            params.check_knobs(_yaml(root / name), name)
            values |= _yaml(root / name)
        for entry in content.get("vars") or []:
            values |= entry if isinstance(entry, Mapping) else {}
        found = [_stage(name, entry) for name, entry in content["stages"].items()]
    return _in_order([_filled(stage, values) for stage in found]), values


def _stage(name: str, entry: Any) -> Stage:
    unknown = [key for key in entry if key not in KNOWN] if isinstance(entry, Mapping) else ["(no mapping)"]
    if unknown:
        raise UserError(f"dvc.yaml: stages.{name}.{unknown[0]}: trivet run knows {', '.join(KNOWN)}; run `dvc repro`")
    cmd = entry["cmd"]
    outs = {}
    for given in (*(entry.get("outs") or []), *(entry.get("metrics") or []), *(entry.get("plots") or [])):
        [(path, _)] = given.items() if isinstance(given, Mapping) else [(given, None)]
        outs[path] = True
    params: dict[str, tuple[str, ...]] = {}
    for given in entry.get("params") or []:
        file, keys = next(iter(given.items())) if isinstance(given, Mapping) else ("params.yaml", [given])
        params[file] = (*params.get(file, ()), *(keys or ()))
    return Stage(
        name, entry.get("desc", ""), " && ".join(cmd) if isinstance(cmd, list) else cmd, tuple(entry.get("deps") or ()), outs, params
    )


def _filled(stage: Stage, knobs: Mapping[str, Any]) -> Stage:
    def value(match: re.Match[str]) -> str:
        node: Any = knobs
        for part in match[1].split("."):
            if not isinstance(node, Mapping) or part not in node:
                raise UserError(f"stage {stage.name}: ${{{match[1]}}} is not among the knobs; mend params.yaml")
            node = node[part]
        return node if match[1] == "python" else shlex.quote(str(node))  # `python` is the command that a person wrote into dvc.yaml

    def fill(text: str) -> str:
        return re.sub(r"\$\{([\w.]+)\}", value, text)

    outs = {fill(path): kept for path, kept in stage.outs.items()}
    return Stage(stage.name, stage.desc, fill(stage.cmd), tuple(map(fill, stage.deps)), outs, stage.params)


def _in_order(found: Sequence[Stage]) -> list[Stage]:
    """The same, each after those that make what it depends on."""
    makers = {out: stage.name for stage in found for out in stage.outs}
    needs = {s.name: {maker for out, maker in makers.items() for dep in s.deps if dep == out or dep.startswith(f"{out}/")} for s in found}
    result: list[Stage] = []
    while len(result) < len(found):
        done = {stage.name for stage in result}
        ready = [stage for stage in found if stage.name not in done and needs[stage.name] <= done]
        if not ready:
            raise UserError("dvc.yaml: its stages depend on each other in a circle")
        result.append(ready[0])
    return result


def state_of(stage: Stage, root: Path) -> dict[str, Any]:
    """What decides whether a stage must run: its command, and digests of its dependencies, parameters and outputs ("": not there)."""
    params = {}
    for file, keys in stage.params.items():
        content = _yaml(root / file)
        params[file] = {key: _select(content, key) for key in keys} if keys else content
    deps = {dep: digest(root / dep) for dep in stage.deps}
    return {"cmd": stage.cmd, "deps": deps, "params": params, "outs": {out: digest(root / out) for out in stage.outs}}


def digest(path: Path) -> str:
    """Of a file's bytes, or of a folder's files and their names, without caches; "" where there is nothing."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    files = sorted(_files(path)) if path.is_dir() else []
    whole = hashlib.sha256()
    for file in files:
        whole.update(f"{file.relative_to(path).as_posix()}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()[:16] if path.is_dir() else ""


def _files(folder: Path) -> Iterator[Path]:
    for place, names, files in os.walk(folder):
        names[:] = [name for name in names if name != "__pycache__" and not name.startswith(".")]
        yield from (Path(place) / name for name in files if not name.endswith(".pyc"))


def run(root: Path = Path(), last: str | None = None, accept: str | None = None) -> int:
    """Run what must run, as far as the stage `last`; the exit code. `accept`: take this stage's outputs as they are."""
    found, _ = load(root)
    for name in (last, accept):
        if name is not None and name not in {stage.name for stage in found}:
            raise UserError(f"{name}: no such stage; there are {', '.join(stage.name for stage in found)}")
    lock = _yaml(root / LOCK)
    ran = 0
    for stage in found:
        if stage.name == accept or (accept is None and not _up_to_date(stage, lock, root)):
            if accept is None:
                code = _execute(stage, root)
                if code:
                    return code
                ran += 1
            now = state_of(stage, root)
            missing = [out for out, mark in now["outs"].items() if not mark]
            if missing:
                raise UserError(f"stage {stage.name}: did not write {missing[0]}; what it said is above")
            lock[stage.name] = now
            write_yaml(root / LOCK, lock)
        if stage.name in (last, accept):
            break
    if accept is None:
        print(f"{ran} stages ran" if ran else "everything is up to date")
    return 0


def _up_to_date(stage: Stage, lock: Mapping[str, Any], root: Path) -> bool:
    now = state_of(stage, root)
    absent = [dep for dep, mark in now["deps"].items() if not mark]
    if absent:
        raise UserError(f"stage {stage.name}: {absent[0]} is missing; mend `code` and `data` in trivet.yaml, or deps in dvc.yaml")
    return lock.get(stage.name) == now and all(now["outs"].values())


def _execute(stage: Stage, root: Path) -> int:
    print(secrets.line(f"stage {stage.name}: {stage.cmd}"), flush=True)
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])  # `python` is the one that runs this
    code = subprocess.run(stage.cmd, shell=True, cwd=root, env={**os.environ, "PATH": path}, check=False).returncode
    if code:
        print(f"error: stage {stage.name} ended with {code}; the same command continues it", file=sys.stderr)
    return code if code >= 0 else 128 - code


def _select(content: Mapping[str, Any], key: str) -> Any:
    node: Any = content
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({str(error).splitlines()[0]}); mend it first") from None
    if content is not None and not isinstance(content, dict):
        raise UserError(f"{path}: must hold a mapping")
    return content or {}
