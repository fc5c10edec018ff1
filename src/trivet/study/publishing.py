"""Put a finished sweep's tables where they belong, in one rename, and never over anything but an earlier publish.

A published folder carries a mark, `.published`, that lists what was put there. Only a folder that is missing, empty, or holds nothing but
what its mark lists is replaced; only listed files are ever deleted, one by one.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import yaml

from trivet.errors import UserError
from trivet.study.tables import TABLES

MARK = ".published"
KEY = "hydra.sweeper.publish"
_NOWHERE: Mapping[int, Path] = {}
_STORES = (".git", ".dvc", ".hg", ".svn", ".jj", ".bzr")  # empty or not: what they hold is read, and run, by others
_OF_A_TRIAL = re.compile(r"[^/]+/\d+(\.[\w.]+)?")  # where `publish_files` stand, as far as a folder without a mark tells


def target_of(publish: str, root: Path, sweep: Path | None = None) -> Path:
    """The folder that `publish` names, links resolved, after all checks; `root` is where the command runs, `sweep` the sweep's folder.

    Raises `UserError` where tables could not be put, or where putting them would harm what no earlier publish put there.
    """
    if publish.startswith("~"):
        raise UserError(f"{KEY}={publish}: '~' is not expanded here; write the path out")
    lexical = Path(os.path.normpath(root / publish))
    target = Path(os.path.realpath(lexical))
    project = _git_root(root)
    kept = {"the project's folder": root, "the repository": project, "the sweep's own folder": sweep}
    for what, place in ((what, Path(os.path.realpath(place))) for what, place in kept.items() if place is not None):
        if target == place or target in place.parents:
            raise UserError(f"{KEY}={publish}: {'is' if target == place else 'holds'} {what}; name a folder for the tables alone")
    if _is_git_root(target):
        raise UserError(f"{KEY}={publish}: is a git repository; name a folder for the tables alone")
    if store := store_of(target):
        raise UserError(f"{KEY}={publish}: lies in {store}, which is version control's own; name a folder for the tables alone")
    if not os.path.isabs(publish) and project not in (lexical, *lexical.parents):
        raise UserError(f"{KEY}={publish}: lies outside {project}; name a folder inside it, or write the path from / on")
    parent = next(p for p in target.parents if p.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK) or (target.exists() and not target.is_dir()):
        raise UserError(f"{KEY}={publish}: cannot be written; name a folder that can")
    if found := strangers(target):
        raise UserError(f"{KEY}={publish}: holds {_few(found)}, which no publish of a sweep put there; move that, or name another folder")
    return target


def store_of(folder: Path) -> str | None:
    """The folder of a version control's own, such as .git, that a path is or lies in; None for none."""
    repository = _git_root(folder)
    below = folder.relative_to(repository) if repository != folder else folder  # `dvc exp run --temp` works within .dvc
    return next((part for part in below.parts if part.lower() in _STORES), None)


def check_files(names: Sequence[str]) -> None:
    """Raise `UserError` for names of `publish_files` that are no file of a trial's folder, or that would meet in the published one."""
    seen: dict[str, str] = {}
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.name or re.search(r"[*?\[]", name):
            raise UserError(f"hydra.sweeper.publish_files: {name}: must be a file's path within a trial's folder, such as model.pt")
        if path.stem in (*TABLES, MARK):
            raise UserError(f"hydra.sweeper.publish_files: {name}: would stand in place of {path.stem}; name the file otherwise")
        if (other := seen.setdefault(path.name, name)) != name:
            raise UserError(
                f"hydra.sweeper.publish_files: {other} and {name} would be published under one name; name one of them otherwise"
            )


def publish(source: Path, target: Path, files: Sequence[str], elsewhere: Mapping[int, Path] = _NOWHERE) -> None:
    """Copy the tables, and per trial the named files (as `<stem>/<number><suffix>`), so that `target` appears whole in one rename.

    A trial's files are in `source/<number>`, or in its folder of `elsewhere`, where `hydra.sweep.subdir` has named another.
    The old folder is kept until the new one stands. Raises `UserError` where `target` holds what no publish put there.
    """
    copies = _copies(source, files, elsewhere)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone(target.parent):
        _tidy(target)
        if found := strangers(target):
            raise UserError(f"{KEY}={target}: holds {_few(found)} since the sweep began; move that, and the same command publishes")
        temporary = _sibling(target, "new")
        (temporary / MARK).write_text("".join(f"{name}\n" for name in copies), encoding="utf-8")  # first: a kill leaves nothing unlisted
        for name, origin in copies.items():
            (temporary / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(origin, temporary / name)
        temporary.chmod(0o777 & ~_umask())
        _exchange(temporary, target)


def _copies(source: Path, files: Sequence[str], elsewhere: Mapping[int, Path]) -> Mapping[str, Path]:
    """What is to be published: name in the target -> file."""
    copies = {name: source / name for name in TABLES if (source / name).is_file()}
    numbers = {int(p.name) for p in source.iterdir() if p.name.isdecimal()} | set(elsewhere)
    for name in files:
        path = PurePosixPath(name)
        for number in sorted(numbers):
            if (found := _file_of(source, number, name, elsewhere)) is not None:
                copies[f"{path.stem}/{number}{path.suffix}"] = found
    return copies


def _file_of(source: Path, number: int, name: str, elsewhere: Mapping[int, Path]) -> Path | None:
    places = [source / str(number), *([elsewhere[number]] if number in elsewhere else [])]
    return next((place / name for place in places if (place / name).is_file()), None)


def missing_files(
    source: Path, files: Sequence[str], numbers: Sequence[int], elsewhere: Mapping[int, Path] = _NOWHERE
) -> dict[str, list[int]]:
    """The files among `files` that some trials of `numbers` have not left in the sweep's folder, with those trials; see `publish`."""
    lacking = {name: [n for n in numbers if _file_of(source, n, name, elsewhere) is None] for name in files}
    return {name: trials for name, trials in lacking.items() if trials}


def strangers(folder: Path) -> list[str]:
    """What a folder holds beside what a publish put there, as sorted relative names; nothing where it is missing or empty."""
    listed = _listed(folder)
    unmarked = bool(listed) and MARK not in listed
    listed |= {f"{name.partition('/')[0]}/" for name in listed if "/" in name}  # a folder that is still, or again, empty
    return sorted(name for name in _leaves(folder) if name not in listed and not (unmarked and _OF_A_TRIAL.fullmatch(name)))


def _listed(folder: Path) -> set[str]:
    """The names that a publish put into a folder. One from before there was a mark is known by its study.yaml."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return {MARK, *(folder / MARK).read_text(encoding="utf-8").splitlines()}
    with contextlib.suppress(OSError, UnicodeDecodeError, yaml.YAMLError):
        study = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
        if isinstance(study, Mapping) and "fingerprint" in study and not (folder / "multirun.yaml").exists():
            return set(TABLES)
    return set()


def _leaves(folder: Path) -> Iterator[str]:
    """Relative names of all files, links and empty folders below; links are not followed."""
    if not folder.is_dir():
        return
    for base, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(base, name))]
        here = Path(base).relative_to(folder)
        yield from ((here / name).as_posix() for name in [*names, *links])
        if not names and not folders and here != Path():
            yield f"{here.as_posix()}/"


def _discard(folder: Path) -> None:
    """Delete what a publish put into a folder, and the folders that this leaves empty; whatever else is there stays."""
    ours = set(_leaves(folder)) - set(strangers(folder))
    for name in sorted(
        (n for n in ours if not n.endswith("/")), key=lambda name: name == MARK
    ):  # the mark last: a kill in between leaves nothing unlisted
        (folder / name).unlink(missing_ok=True)
    for base, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(base)


def _tidy(target: Path) -> None:
    """Mend what a publish left that was killed: put the old folder back where none stands, and remove what it had made beside it."""
    for old in sorted(target.parent.glob(f".{glob.escape(target.name)}.old*")):
        if strangers(old) or not old.is_dir():
            continue
        if target.exists() or not _listed(old):
            _discard(old)
        else:
            os.replace(old, target)
    for new in target.parent.glob(f".{glob.escape(target.name)}.new-*"):
        if not strangers(new):
            _discard(new)


def _exchange(new: Path, target: Path) -> None:
    """Put `new` in the place of `target`, which is put back where that fails."""
    if not target.exists():
        os.replace(new, target)
        return
    old = _sibling(target, "old")
    os.replace(target, old)
    try:
        os.replace(new, target)
    except BaseException:
        os.replace(old, target)
        raise
    _discard(old)


def _sibling(target: Path, kind: str) -> Path:
    """A new empty folder beside `target`."""
    return Path(tempfile.mkdtemp(prefix=f".{target.name}.{kind}-", dir=target.parent))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let no other sweep publish into this folder meanwhile, where its file system can lock."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _git_root(folder: Path) -> Path:
    """The repository that a folder is in, or the folder itself."""
    folder = Path(os.path.abspath(folder))
    return next((p for p in (folder, *folder.parents) if _is_git_root(p)), folder)


def _is_git_root(folder: Path) -> bool:
    return os.path.lexists(folder / ".git")


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
