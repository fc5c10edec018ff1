"""One file that holds a run at the end of an epoch: written whole, read without running code, refused when it is not ours."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)
NAME, NEXT = "checkpoint.pt", ".checkpoint.next.pt"
VERSION = 3
MARK = "<tensor>"
NOT_IDENTITY = frozenset({"save_model", "lr_range", "profile", "pruner", "space", "hydra"})  # cannot change a number


def identity(config: Mapping[str, Any], data_sha256: str, device: torch.device) -> str:
    """A hash of what decides the numbers of a run: config, data, kind of device, torch."""
    kept = {key: value for key, value in config.items() if key not in NOT_IDENTITY}
    text = json.dumps([VERSION, kept, data_sha256, device.type, torch.__version__], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def about(config: Mapping[str, Any], data_sha256: str) -> dict[str, Any]:
    """What another training that goes on from the checkpoint has to know of it: config and data, as plain values."""
    kept = {key: value for key, value in config.items() if key not in (*NOT_IDENTITY, "device")}
    return {"config": json.loads(json.dumps(kept, default=str)), "data": data_sha256}


def save(folder: Path, key: str, state: Mapping[str, Any], about: Mapping[str, Any] | None = None) -> None:
    """Replace the checkpoint: a process killed at any moment leaves the old one or the new one whole, and `load` finds it.

    Renaming onto an existing file makes some file systems (ext4) write it to the disk at once, 1 to 3 ms; so the old one goes first, and
    between the two calls the new one is found under its temporary name. No fsync: a power cut may lose the last epochs.
    """
    tree, flat = pack(state)
    path, new = Path(folder) / NAME, Path(folder) / NEXT
    try:
        torch.save({"identity": key, "about": about, "tree": tree, "flat": flat}, new)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)
    new.rename(path)


def pack(state: Any) -> tuple[Any, dict[str, Tensor]]:
    """Nested dicts and lists with (MARK, kind, start, shape, stride) for every tensor, and one flat tensor on the CPU for each kind.

    A tensor's numbers lie in the flat one as they lie in memory, and its strides are kept: an optimizer's fused step pairs weights and
    moments by their place in memory, so a moment of channels-last weights that came back contiguous would belong to other weights.
    torch.save takes 60 microseconds and a wait for the GPU for each tensor, of which a run has about a hundred.
    """
    parts: dict[str, list[Tensor]] = {}
    ends: dict[str, int] = {}

    def walk(node: Any) -> Any:
        if isinstance(node, Tensor):
            kind = f"{node.device} {node.dtype}"
            start = ends.get(kind, 0)
            ends[kind] = start + node.numel()
            gapless = without_gaps(node.detach())
            parts.setdefault(kind, []).append(gapless.as_strided((gapless.numel(),), (1,)))
            return (MARK, kind, start, tuple(node.shape), gapless.stride())
        if isinstance(node, Mapping):
            return {key: walk(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return type(node)(walk(value) for value in node)
        return node

    tree = walk(state)
    return tree, {kind: torch.cat(tensors).cpu() for kind, tensors in parts.items()}


def without_gaps(tensor: Tensor) -> Tensor:
    """The tensor itself where its numbers fill one block of memory, in whatever order; else a copy that does."""
    n = 1
    if tensor.is_contiguous():
        return tensor
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size != 1 and stride != n:
            return tensor.contiguous()
        n *= size
    return tensor


def unpack(tree: Any, flat: Mapping[str, Tensor], device: torch.device) -> Any:
    """What `pack` was given, memory formats included. Tensors that were on the CPU stay there, the others go to `device`."""
    moved = {kind: tensor if kind.startswith("cpu") else tensor.to(device) for kind, tensor in flat.items()}

    def walk(node: Any) -> Any:
        if isinstance(node, tuple) and node and node[0] == MARK:
            _, kind, start, shape, stride = node
            size = math.prod(shape)
            return moved[kind][start : start + size].clone().as_strided(shape, stride)
        if isinstance(node, dict):
            return {key: walk(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return type(node)(walk(value) for value in node)
        return node

    return walk(tree)


def write_whole(content: Any, path: Path) -> None:
    """torch.save by way of a temporary file in the same folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        torch.save(content, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(folder: Path, key: str, device: torch.device) -> dict[str, Any] | None:
    """The state saved under this identity; None, with a warning, for a file that cannot be read or belongs to another run."""
    path = next((p for p in (Path(folder) / NAME, Path(folder) / NEXT) if p.exists()), None)
    if path is None:
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or content.get("identity") != key:
            log.warning("%s belongs to another configuration, data set or version; starting over", path)
            return None
        return unpack(content["tree"], content["flat"], device)
    except Exception as error:  # torch's reader raises struct.error, IndexError and what not on a damaged file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        log.warning("%s cannot be read (%s); starting over", path, reason[0])
        return None


def read(folder: Path, device: torch.device) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(what `about` says, the state) of whatever training the checkpoint is of; None where there is none that can be read."""
    path = next((p for p in (Path(folder) / NAME, Path(folder) / NEXT) if p.exists()), None)
    if path is None:
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        known = content["about"]
        return {"config": dict(known["config"]), "data": str(known["data"])}, unpack(content["tree"], content["flat"], device)
    except Exception as error:  # as in load
        log.warning("%s cannot be read (%s)", path, type(error).__name__)
        return None


def remove(folder: Path) -> None:
    """Remove the checkpoint of a run that is over."""
    for name in (NAME, NEXT):
        (Path(folder) / name).unlink(missing_ok=True)
