"""From the name of a guest to its ASE calculator."""

from __future__ import annotations

import ctypes
import inspect
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from importlib import import_module
from typing import Any

from eqcli.engine.guest_name import GuestName, current_folder_importable, no_module
from eqcli.errors import InputError, Where
from eqcli.names import did_you_mean
from eqcli.progress import Reporter

Scalar = bool | int | float | str | None


def make_calculator(name: GuestName, arguments: Mapping[str, Scalar], report: Reporter) -> Any:
    """The calculator that the named class or function makes of `arguments`.

    Warns of arguments that are none of the calculator's parameters: ASE takes any without a word.

    Raises
    ------
    InputError
        There is no such module or name in it, it raises, or what it makes is no calculator of energies.
    """
    factory = find_factory(name)
    try:
        with silenced():
            made = factory(**arguments)
    except ImportError as error:
        raise _needs(name, error) from error
    except Exception as error:
        hint = f"Arguments were {_listed(arguments)}; give others with --model-arg name=value."
        raise InputError(f"the calculator could not be made: {told(error)}", Where(str(name)), hint) from error
    if not callable(getattr(made, "get_property", None)) or not hasattr(made, "implemented_properties"):
        message = f"this makes an object of type {type(made).__name__}, which is no ASE calculator"
        raise InputError(message, Where(str(name)), "Name a subclass of ase.calculators.calculator.Calculator.")
    if "energy" not in made.implemented_properties:
        given = ", ".join(made.implemented_properties) or "nothing"
        raise InputError(f"this calculator gives no energy, but {given}", Where(str(name)))
    for word in unknown_arguments(factory, made, arguments):
        meant = did_you_mean(word, made.default_parameters, "parameters")
        report.warning(f"{name}: '{word}' is none of the calculator's own parameters. {meant}".rstrip())
    return made


def find_factory(name: GuestName) -> Callable[..., Any]:
    """What a guest's name stands for. Raises InputError when it cannot be imported."""
    try:
        with current_folder_importable(), silenced():
            module = import_module(name.module)
    except ImportError as error:
        raise _needs(name, error) from error
    except Exception as error:
        raise InputError(f"the module {name.module} cannot be imported: {told(error)}", Where(str(name))) from error
    factory = getattr(module, name.attribute, None)
    if callable(factory):
        return factory
    public = [word for word, value in vars(module).items() if callable(value) and not word.startswith("_")]
    message = f"the module {name.module} has no class or function '{name.attribute}'"
    raise InputError(message, Where(str(name)), did_you_mean(name.attribute, public, "names"))


def _needs(name: GuestName, error: ImportError) -> InputError:
    """The error for a failed import, of the guest's module or of one further down."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return no_module(name, error.name)
    return InputError(f"the module {name.module} cannot be imported: {error}", Where(str(name)))


def takes(factory: Callable[..., Any], parameter: str) -> bool:
    """Whether a class or function names `parameter` among its own."""
    try:
        return parameter in inspect.signature(factory).parameters
    except (TypeError, ValueError):  # some extension types do not tell
        return False


def unknown_arguments(factory: Callable[..., Any], made: Any, arguments: Mapping[str, Scalar]) -> list[str]:
    """Arguments that a calculator took without knowing them, where it tells what it knows."""
    known = getattr(made, "default_parameters", None)
    if not isinstance(known, dict) or not known or not isinstance(factory, type):
        return []
    return [word for word in arguments if word not in known and not takes(factory, word)]


def told(error: BaseException) -> str:
    """What an exception of foreign code says, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _listed(arguments: Mapping[str, Scalar]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in arguments.items()) or "none"


@contextmanager
def silenced() -> Iterator[None]:
    """Drops what foreign code prints to standard output, which belongs to results.

    Both Python's and the process's, since many calculators print from compiled code.
    """
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        # What compiled code still holds back would come out later, among the results.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
