"""What makes two sweeps the same study."""

import subprocess

import pytest

from trivet.errors import UserError
from trivet.study import identity
from trivet.study.identity import differences, file_hashes, fingerprint, gpu_ids, gpu_names, told, without


def test_a_fingerprint_depends_on_content_and_not_on_order():
    a = fingerprint({"x": 1, "y": {"b": [1, 2], "a": None}})
    assert a == fingerprint({"y": {"a": None, "b": [1, 2]}, "x": 1})
    assert (
        len({a, fingerprint({"x": 1, "y": {"b": [2, 1], "a": None}}), fingerprint({"x": 1.5}), fingerprint({"x": "1.5"}), fingerprint({})})
        == 5
    )
    assert a == fingerprint({"x": 1, "y": {"b": (1, 2), "a": None}})  # as study.yaml gives it back


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a"]),
        ({"a": 1}, {"b": 1}, ["a", "b"]),
        ({"a": {"x": 1, "y": {"z": 1}}}, {"a": {"x": 1, "y": {"z": 2, "w": 3}}}, ["a.y.z", "a.y.w"]),
        ({"a": {"x": 1}}, {"a": None}, ["a"]),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["a"]),
        ({"a": None}, {}, []),
        ({"a": {}}, {"a": {"b": 1}}, ["a.b"]),
    ],
)
def test_differences(old, new, keys):
    assert differences(old, new) == keys


def test_what_differs_is_told_to_a_person():
    old = {"code": {"src/a.py": "1"}, "values": {"data": "1"}, "config": {"x": {"y": 1}}, "seed": 0, "files": {}}
    old["options"] = {}
    new = {
        "code": {"src/a.py": "2"},
        "values": {"data": "2"},
        "config": {"x": {"y": 2}},
        "seed": 1,
        "files": {"d": "1"},
        "options": {"o=a": "1"},
    }
    said = "the code of src/a.py, the value of data, x.y, seed, the content of d, the config of o=a"
    assert told(old, new) == said
    assert told(old, new, most=2) == "the code of src/a.py, the value of data ..."


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], {"a": 1, "b": {"c": 2, "d": {"e": 3, "f": 4}}}),
        (["a"], {"b": {"c": 2, "d": {"e": 3, "f": 4}}}),
        (["b"], {"a": 1}),
        (["b.d.e", "a"], {"b": {"c": 2, "d": {"f": 4}}}),
        (["b.d"], {"a": 1, "b": {"c": 2}}),
        (["nope", "b.nope", "a.deeper"], {"a": 1, "b": {"c": 2, "d": {"e": 3, "f": 4}}}),
    ],
)
def test_without(keys, expected):
    config = {"a": 1, "b": {"c": 2, "d": {"e": 3, "f": 4}}}
    assert without(config, keys) == expected
    assert config == {"a": 1, "b": {"c": 2, "d": {"e": 3, "f": 4}}}


def test_file_hashes(tmp_path):
    (tmp_path / "src/deep").mkdir(parents=True)
    (tmp_path / "src/a.py").write_text("a")
    (tmp_path / "src/deep/b.py").write_text("b")
    (tmp_path / "src/c.txt").write_text("a")
    hashes = file_hashes(["src/**/*.py", "src/c.txt", str(tmp_path / "src/a.py")], tmp_path)
    assert list(hashes) == ["src/a.py", "src/deep/b.py", "src/c.txt"]
    assert hashes["src/a.py"] == hashes["src/c.txt"] != hashes["src/deep/b.py"]
    (tmp_path / "src/a.py").write_text("changed")
    assert file_hashes(["src/a.py"], tmp_path)["src/a.py"] != hashes["src/a.py"]
    assert file_hashes([], tmp_path) == {}


@pytest.mark.parametrize("pattern", ["nothing/*.py", "src", "missing.py", "/nowhere/at/all.py", "/nowhere/*.py", ""])
def test_a_pattern_that_matches_nothing_is_refused(tmp_path, pattern):
    (tmp_path / "src").mkdir()
    with pytest.raises(UserError, match=r"hydra.sweeper.identity.files: .*matches no file") as error:
        file_hashes([pattern], tmp_path)
    assert "\n" not in str(error.value)


def test_absolute_patterns_match_too(tmp_path):
    (tmp_path / "a.py").write_text("a")
    assert list(file_hashes([f"{tmp_path}/*.py"], tmp_path)) == ["a.py"]


def test_a_name_may_hold_what_means_something_in_a_pattern(tmp_path):
    folder = tmp_path / "run[1]"
    folder.mkdir()
    (folder / "app.py").write_text("a")
    assert list(file_hashes([str(folder / "app.py"), "run[1]/app.py"], tmp_path)) == ["run[1]/app.py"]


def test_git_state(tmp_path):
    assert identity.git_state(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@x"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert identity.git_state(tmp_path) is None  # nothing committed yet
    written = ["dvc.lock", "results/narrow/space.yaml", "app/reports/summary.md"]
    for name in ["f", "app/f", *written]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "m"], check=True)
    state = identity.git_state(tmp_path)
    assert len(state["commit"]) == 40 and state["dirty"] is False
    (tmp_path / "untracked").write_text("1")
    assert identity.git_state(tmp_path)["dirty"] is False
    for name in written:
        (tmp_path / name).write_text("2")
    assert identity.git_state(tmp_path)["dirty"] is True, "app/reports is not this folder's"
    subprocess.run([*git, "checkout", "-q", written[-1]], check=True)
    assert identity.git_state(tmp_path)["dirty"] is False, "what a pipeline writes is no change"
    (tmp_path / "f").write_text("2")
    assert identity.git_state(tmp_path) == {"commit": state["commit"], "dirty": True}
    assert identity.git_state(tmp_path / "app")["dirty"] is True, "a change beside the app's folder is one too"


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine where nvidia-smi lists two GPUs."""
    monkeypatch.setattr(identity.shutil, "which", lambda name: f"/usr/bin/{name}")
    done = subprocess.CompletedProcess([], 0, stdout="GPU A\nGPU B\n")
    monkeypatch.setattr(identity.subprocess, "run", lambda *args, **kwargs: done)


@pytest.mark.parametrize(
    ("visible", "ids", "names"),
    [
        (None, ["0", "1"], ["GPU A", "GPU B"]),
        ("1", ["1"], ["GPU B"]),
        ("1,0", ["1", "0"], ["GPU B", "GPU A"]),
        ("0, 1", ["0", "1"], ["GPU A", "GPU B"]),
        ("", [], []),
        ("GPU-1234", ["GPU-1234"], ["GPU-1234"]),
        ("-1", [], []),
        ("0,-1,1", ["0"], ["GPU A"]),  # CUDA stops at the first one that is not there
    ],
)
def test_gpus_that_may_be_used(monkeypatch, two_gpus, visible, ids, names):
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_ids() == ids
    assert gpu_names() == names


def test_a_machine_without_gpus(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(identity.shutil, "which", lambda name: None)
    assert gpu_names() == gpu_ids() == []


@pytest.mark.parametrize("error", [subprocess.TimeoutExpired("nvidia-smi", 30), OSError("broken")])
def test_a_driver_that_hangs_is_no_gpu(monkeypatch, two_gpus, error):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(identity.subprocess, "run", fail)
    assert gpu_ids() == []


def test_what_is_told_of_the_machine():
    assert identity.cores() >= 1
    assert {"cpu", "cores", "gpus"} <= set(identity.hardware()) and identity.hardware()["cpu"]
    assert {"python", "hydra-core", "optuna"} <= set(identity.versions())


X86 = """processor\t: 0
cpu family\t: 25
model\t\t: 1
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu sse sse4_2 avx avx2 fma bmi2 avx512f

processor\t: 1
model name\t: another
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd aes sve2\nCPU part\t: 0xd40\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (X86, {"cpu": "AMD EPYC", "model": "family 25 model 1 stepping 1", "vector_flags": ["avx", "avx2", "avx512f", "fma", "sse4_2"]}),
        (ARM, {"vector_flags": ["asimd", "sve2"]}),
        ("", {}),
    ],
)
def test_processors_of_one_name_are_told_apart(text, expected):
    found = identity._cpu(text)
    assert found["cpu"] and {key: found[key] for key in expected} == expected
    assert set(found) == {"cpu", *expected}


def test_a_fingerprint_is_the_same_in_every_version():
    """A sweep that was begun with an earlier one goes on: keys of any kind, paths, and what JSON does not know."""
    assert fingerprint({"b": [1, (2.5, None)], "a": {None: "ü", 1: 3}}) == fingerprint({"a": {1: 3, None: "ü"}, "b": (1, [2.5, None])})
    assert fingerprint({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert fingerprint({"a": {1: "x"}, "p": [None, 0.5]}) == "922c3f55b68a2c8c65c876470cf5d5b8626e4312198bf3cabc03ea5598a946fa"
    assert len({fingerprint({"a": {key: 1}}) for key in (1, "1", True, "int 1x", None)}) == 5


def test_the_hash_of_a_file_is_that_of_its_content(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").mkdir()
    assert file_hashes(["?"], tmp_path) == {"a": "ca978112ca1bbdca"}
    assert file_hashes(["a"], tmp_path / "b" / "..") == {"a": "ca978112ca1bbdca"}
    with pytest.raises(UserError) as refused:
        file_hashes(["a", "c*"], tmp_path)
    why = f"c* matches no file under {tmp_path}; name files whose content decides results"
    assert str(refused.value) == f"hydra.sweeper.identity.files: {why}"


def test_how_many_differences_are_told():
    old = dict.fromkeys("abcdefgh", 1)
    assert told(old, {**old, **dict.fromkeys("abcdef", 2)}) == "a, b, c, d, e, f"
    assert told(old, {**old, **dict.fromkeys("abcdefg", 2)}) == "a, b, c, d, e, f ..."
    assert told(old, old) == ""


def test_versions_are_those_of_what_is_installed(monkeypatch):
    def version(name):
        if name in ("cmaes", "scipy"):
            raise identity.metadata.PackageNotFoundError
        return f"{name} 1"

    monkeypatch.setattr(identity.metadata, "version", version)
    monkeypatch.setattr(identity.platform, "python_version", lambda: "3.11.9")
    names = ("trivet", "hydra-core", "optuna", "numpy", "torch")
    assert identity.versions() == {"python": "3.11.9", **{name: f"{name} 1" for name in names}}


def test_what_is_asked_of_other_programs(monkeypatch, tmp_path):
    """Each as a list of words, with its output kept from the terminal, and never for longer than a driver may hang."""
    asked = []

    def run(words, **options):
        asked.append((words, options))
        return subprocess.CompletedProcess(words, 0, stdout=" abc \n" if "rev-parse" in words else " GPU A \n\n")

    monkeypatch.setattr(identity.shutil, "which", lambda name: f"/usr/bin/{name}" if name in ("git", "nvidia-smi") else None)
    monkeypatch.setattr(identity.subprocess, "run", run)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    quiet = {"capture_output": True, "text": True, "check": False}
    assert gpu_names() == ["GPU A"] and gpu_ids() == ["0"]
    assert asked[0] == (["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], {**quiet, "timeout": 30})
    asked.clear()
    assert identity.git_state(tmp_path) == {"commit": "abc", "dirty": True}
    left_out = [":(exclude)dvc.lock", ":(exclude)reports", ":(exclude)results"]
    assert asked == [
        (["git", "-C", str(tmp_path), "rev-parse", "HEAD"], quiet),
        (["git", "-C", str(tmp_path), "status", "--porcelain", "--untracked-files=no", "--", ":/", *left_out], quiet),
    ]
    monkeypatch.setattr(identity.shutil, "which", lambda name: None)
    assert identity.git_state(tmp_path) is None


def test_a_driver_that_answers_with_an_error_has_no_gpu(monkeypatch):
    monkeypatch.setattr(identity.shutil, "which", lambda name: name)
    monkeypatch.setattr(identity.subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, 1, stdout="GPU A\n"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert gpu_names() == gpu_ids() == []


@pytest.mark.parametrize(("visible", "names"), [("1", ["GPU B"]), ("2", ["2"]), ("0,2", ["GPU A", "2"])])
def test_a_number_beyond_the_last_gpu_names_itself(monkeypatch, two_gpus, visible, names):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_names() == names


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(identity.os, "sched_getaffinity", lambda pid: {0: {1, 5, 7}}[pid], raising=False)
    monkeypatch.setattr(identity.os, "cpu_count", lambda: 64)
    assert identity.cores() == 3 and identity.hardware()["cores"] == 64
    monkeypatch.delattr(identity.os, "sched_getaffinity")
    assert identity.cores() == 64
    monkeypatch.setattr(identity.os, "cpu_count", lambda: None)
    assert identity.cores() == 1


@pytest.mark.parametrize(("processor", "machine", "cpu"), [("P", "M", "P"), ("", "M", "M")])
def test_a_processor_without_a_name_is_called_as_the_platform_calls_it(monkeypatch, processor, machine, cpu):
    monkeypatch.setattr(identity.platform, "processor", lambda: processor)
    monkeypatch.setattr(identity.platform, "machine", lambda: machine)
    assert identity._cpu("model : 3\n") == {"cpu": cpu, "model": "model 3"}
