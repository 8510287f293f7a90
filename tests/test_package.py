"""The package as a whole: importing it changes nothing, it starts fast, and its promises to outsiders stand."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import actatlas
from actatlas import errors

SOURCE = Path(actatlas.__file__).parent

# As people's scripts rely on them; 0, 1, 2 and 130 belong to every command.
PROMISED_EXIT_CODES = {
    errors.ActatlasError: 1,
    errors.UsageError: 2,
    errors.ImageError: 3,
    errors.NetworkError: 4,
    errors.MissingExtra: 5,
    errors.VerificationFailed: 6,
    errors.StorageError: 7,
    errors.Locked: 8,
}
TORCH_FREE = [
    "values",
    "preprocessing",
    "progress",
    "store",
    "atlas",
    "images",
    "layout",
    "grid",
    "picture",
    "site",
    "server",
    "lab",
    "cli",
    "errors",
]
# Asked for only by the network specs that need them; safetensors for its torch half.
OPTIONAL_PACKAGES = {
    "cuml", "datasets", "efficientnet_lite_pytorch", "fsspec", "huggingface_hub", "openTSNE", "pyarrow", "ray",
    "safetensors", "timm", "torchdr", "torchvision", "transformers",
}  # fmt: skip
MAY_IMPORT_INSIDE_FUNCTIONS = {"server.py", "pipeline.py", "api.py", "working.py", "doctor.py", "__init__.py"}

STATE = """
import json, logging, random, signal, sys, threading, warnings
def state():
    return {
        "filters": [str(f) for f in warnings.filters],
        "handlers": [str(h) for h in logging.getLogger().handlers],
        "level": logging.getLogger().level,
        "random": hash(random.getstate()),
        "excepthook": str(sys.excepthook),
        "interrupt": str(signal.getsignal(signal.SIGINT)),
        "threads": threading.active_count(),
        "path": sys.path,
    }
"""


def in_a_new_interpreter(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def error_classes() -> list[type[errors.ActatlasError]]:
    return [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.ActatlasError)]


def test_importing_the_package_changes_nothing_in_the_process():
    before, after = json.loads(
        in_a_new_interpreter(STATE + "before = state()\nimport actatlas\nprint(json.dumps([before, state()]))")
    )
    assert before == after


def test_importing_the_package_keeps_numpys_and_torchs_random_state_and_settings():
    code = """
import numpy, torch
def state():
    return (numpy.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes(), torch.get_num_threads(),
            torch.get_default_dtype(), torch.backends.cudnn.benchmark, torch.is_grad_enabled())
before = state()
import actatlas
assert actatlas.load_network
assert before == state()
"""
    in_a_new_interpreter(code)


def test_every_exported_name_is_there_and_every_public_name_is_exported():
    assert len(set(actatlas.__all__)) == len(actatlas.__all__)
    for name in actatlas.__all__:
        assert getattr(actatlas, name) is not None, name
    ours = {name for name, value in vars(actatlas).items() if getattr(value, "__module__", "").startswith("actatlas")}
    assert {name for name in ours if not name.startswith("_")} <= set(actatlas.__all__)
    assert set(actatlas.__all__) <= set(dir(actatlas))


def test_a_name_that_the_package_lacks_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = actatlas.no_such_name


@pytest.mark.parametrize("module", TORCH_FREE)
def test_what_looks_at_an_atlas_is_imported_without_torch(module):
    loaded = in_a_new_interpreter(f"import sys, actatlas.{module}\nprint('torch' in sys.modules)")
    assert loaded.strip() == "False"


def test_open_is_reached_without_torch():
    assert in_a_new_interpreter("import sys, actatlas\nactatlas.open\nprint('torch' in sys.modules)").strip() == "False"


def test_help_comes_in_half_a_second():
    """The best of five, so that a busy machine does not decide; the slow way, with torch, takes seconds."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        shown = in_a_new_interpreter("import sys; from actatlas.cli import main; sys.exit(main(['--help']))")
        seconds.append(time.perf_counter() - start)
        if seconds[-1] < 0.5:
            break
    assert "build" in shown and "layers" in shown
    assert min(seconds) < 0.5, seconds


def test_help_loads_neither_pandas_nor_torch():
    code = """
import sys
from actatlas.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
print(sorted({"pandas", "torch", "safetensors", "PIL"} & set(sys.modules)), file=sys.stdout)
"""
    assert in_a_new_interpreter(code).strip().splitlines()[-1] == "[]"


def test_exit_codes_are_those_that_were_promised():
    for base, code in PROMISED_EXIT_CODES.items():
        assert base.exit_code == code, base
    for error in error_classes():
        nearest = next(c for c in error.__mro__ if c in PROMISED_EXIT_CODES)
        assert error.exit_code == PROMISED_EXIT_CODES[nearest], error


def test_the_documents_give_the_code_of_every_error():
    opening = inspect.getdoc(errors) or ""
    documented = (SOURCE.parent.parent / "docs" / "cli.md").read_text(encoding="utf-8")
    for base, code in PROMISED_EXIT_CODES.items():
        if base is not errors.ActatlasError:
            assert any(base.__name__ in line and str(code) in line for line in opening.splitlines()), base
        assert f"| {code} |" in documented, code


def test_every_error_is_also_what_a_python_caller_would_catch():
    builtins_caught = (ValueError, LookupError, RuntimeError, ImportError, OSError)
    plain = {errors.ActatlasError, errors.NetworkError, errors.VerificationFailed}
    for error in set(error_classes()) - plain:
        assert issubclass(error, builtins_caught), error


def test_only_the_composing_modules_import_inside_functions():
    found = []
    for path in SOURCE.rglob("*.py"):
        is_composing = path.parent == SOURCE and path.name in MAY_IMPORT_INSIDE_FUNCTIONS
        if is_composing or path.parent == SOURCE / "cli" or path == SOURCE / "lab" / "lab.py":
            continue
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = [n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
                inner = [node for node in inner if not _imported(node) <= OPTIONAL_PACKAGES]
                if path == SOURCE / "layout" / "gpu.py" and function.name == "_by_torchdr":
                    inner = [node for node in inner if _imported(node) != {"torch"}]  # which TorchDR is made of
                found += [f"{path.relative_to(SOURCE)}:{node.lineno}" for node in inner]
    assert found == []


def _imported(node: ast.Import | ast.ImportFrom) -> set[str]:
    """Top-level packages."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return {name.split(".")[0] for name in names}


def test_the_package_is_typed():
    assert (SOURCE / "py.typed").exists()


def test_every_pin_holds_on_the_oldest_python_that_is_promised():
    """One that asks for a later 3.11 sends pip looking for others for ten minutes, and then fails."""
    root = SOURCE.parents[1]
    pins = [
        Requirement(line) for line in (root / "constraints.txt").read_text().splitlines() if line[:1] not in ("", "#")
    ]
    installed = {pin.name: importlib.metadata.metadata(pin.name) for pin in pins if is_installed(pin.name)}
    assert len(installed) > 100
    asked = {name: told["Requires-Python"] for name, told in installed.items() if told["Requires-Python"]}
    assert [name for name, version in asked.items() if not SpecifierSet(version).contains("3.11.2")] == []


def is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
