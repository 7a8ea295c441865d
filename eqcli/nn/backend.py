"""Which kernels compute messages: the names, and what is meant when nothing is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum


class Backend(StrEnum):
    """Programs for the maps of :class:`~eqcli.nn.message_maps.MessageMaps`."""

    AUTO = "auto"
    """What :func:`using_backend` says; else Triton on a CUDA device, plain torch elsewhere."""
    PLAIN = "plain"
    COMPILED = "compiled"
    TRITON = "triton"
    OPENEQUIVARIANCE = "openequivariance"
    CUEQUIVARIANCE = "cuequivariance"


class BackendWarning(UserWarning):
    """A backend that was asked for is not used."""


_WANTED: ContextVar[Backend] = ContextVar("backend", default=Backend.AUTO)


def wanted_backend() -> Backend:
    """What `auto` stands for here."""
    return _WANTED.get()


@contextmanager
def using_backend(backend: Backend | str) -> Iterator[None]:
    """Within the block, layers made with `auto` use this backend, once it has matched plain torch."""
    token = _WANTED.set(Backend(backend))
    try:
        yield
    finally:
        _WANTED.reset(token)
