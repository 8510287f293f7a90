"""Networks that a user's own function gives: python:module:function, or path/to/zoo.py:function."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from torch import nn

from actatlas.errors import ActatlasError, UnknownNetwork, first_line
from actatlas.networks.network import Network
from actatlas.preprocessing import Preprocessing


def load_python(name: str) -> Network:
    module_name, _, function_name = name.rpartition(":")
    spec = f"python:{name}"
    if not module_name:
        raise UnknownNetwork(f"{spec} names no function; write python:module:function", spec=spec)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UnknownNetwork(
            f"{spec}: {module_name} cannot be imported ({error}); is it installed?", spec=spec
        ) from None
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        raise _failed(spec, error) from error
    return _called(module, function_name, spec)


def load_file(path: str, function_name: str) -> Network:
    spec, file = f"{path}:{function_name}", Path(path).expanduser().resolve()
    if not file.is_file():
        raise UnknownNetwork(f"{spec}: there is no file {file}; give the path of a Python file", spec=spec)
    module_spec = importlib.util.spec_from_file_location(f"actatlas_zoo_{file.stem}", file)
    assert module_spec is not None and module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # pickling and dataclasses look a class's module up there
    sys.path.insert(0, str(file.parent))  # as `python zoo.py` does: its neighbours can be imported
    try:
        module_spec.loader.exec_module(module)
        return _called(module, function_name, spec)
    except ActatlasError:
        raise
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        raise _failed(spec, error) from error
    finally:
        sys.path.remove(str(file.parent))


def _failed(spec: str, error: BaseException) -> UnknownNetwork:
    return UnknownNetwork(f"{spec} fails ({type(error).__name__}: {first_line(error)}); mend it", spec=spec)


def _called(module: Any, function_name: str, spec: str) -> Network:
    function = getattr(module, function_name, None)
    if not callable(function):
        raise UnknownNetwork(f"{spec}: there is no function {function_name} in it; name one that is", spec=spec)
    try:
        made = function()
    except ActatlasError:
        raise
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        raise _failed(spec, error) from error
    network = network_of(made)
    if network is None:
        raise UnknownNetwork(
            f"{spec} gives {type(made).__name__}; it should give a Network, (module, Preprocessing) or "
            "(module, Preprocessing, labels)",
            spec=spec,
        )
    network.spec = spec
    return network


def network_of(made: Any) -> Network | None:
    """A Network; (module, Preprocessing[, labels]); or a module with attributes `preprocessing` and maybe `labels`."""
    if isinstance(made, Network):
        return made
    if isinstance(made, nn.Module):
        made = (made, getattr(made, "preprocessing", None), getattr(made, "labels", None))
    if not isinstance(made, tuple | list) or len(made) not in (2, 3):
        return None
    module, preprocessing, labels = made if len(made) == 3 else (*made, None)
    is_whole = isinstance(module, nn.Module) and isinstance(preprocessing, Preprocessing)
    return Network(module, preprocessing, labels) if is_whole else None
