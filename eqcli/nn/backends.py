"""Kernels for messages: each is used only after it has matched plain torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor

from eqcli.nn.backend import Backend, BackendWarning, wanted_backend
from eqcli.nn.message_maps import MessageEdges, MessageForm, MessageMaps
from eqcli.nn.plain_message import PlainMaps

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
"""Largest deviation of a backend from plain torch in float64, over the largest number of the tensor."""

TOLERANCE_TF32 = 2e-3
"""The same in float32 where the user has allowed the rounded products of TF32 (`torch.backends.cuda.matmul`)."""

PROBE_CHANNELS = 32

MAKERS = {
    Backend.PLAIN: "eqcli.nn.plain_message:PlainMaps",
    Backend.COMPILED: "eqcli.nn.compiled_message:CompiledMaps",
    Backend.TRITON: "eqcli.nn.triton_message:TritonMaps",
    Backend.OPENEQUIVARIANCE: "eqcli.nn.openequivariance_message:OpenequivarianceMaps",
    Backend.CUEQUIVARIANCE: "eqcli.nn.cuequivariance_message:CuequivarianceMaps",
}
"""Module and class of each backend, made with a :class:`~eqcli.nn.message_maps.MessageForm`."""


@dataclass(frozen=True)
class Probe:
    """A random graph, with lone atoms and uneven degrees, and random arguments of all three maps in float64."""

    edges: MessageEdges
    arguments: tuple[Tensor, ...]  # g, h, w, Y, a_h, a_w, a_Y

    @classmethod
    def make(cls, form: MessageForm, channels: int) -> Probe:
        generator = torch.Generator().manual_seed(0)
        degrees = torch.tensor([5, 0, 1, 17, 3, 0, 40, 2, 2, 0])
        n_atoms, n_edges = len(degrees), 2 * int(degrees.sum())
        receiver = torch.arange(n_atoms).repeat_interleave(degrees)
        bonded = degrees.nonzero().flatten()
        sender = bonded[torch.randint(len(bonded), receiver.shape, generator=generator)]
        # A neighbour list has the reverse of every edge, and some libraries rely on it.
        sender, receiver = torch.cat([sender, receiver]), torch.cat([receiver, sender])
        by_receiver = torch.argsort(receiver, stable=True)
        sender, receiver = sender[by_receiver], receiver[by_receiver]
        shapes = [
            (n_atoms, form.rows_in, channels),
            (n_edges, len(form.paths) * channels),
            (n_edges, form.rows_edge),
        ]
        shapes = [(n_atoms, form.rows_out, channels), *shapes, *shapes]
        drawn = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
        return cls(MessageEdges(sender, receiver, n_atoms), tuple(drawn))

    def run(self, maps: MessageMaps, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        """Messages and derivatives by name."""
        g, h, w, y, a_h, a_w, a_y = (x.to(device=device, dtype=dtype) for x in self.arguments)
        edges = MessageEdges(self.edges.sender.to(device), self.edges.receiver.to(device), self.edges.n_atoms)
        with torch.no_grad():
            first = maps.backward(g, h, w, y, edges)
            second = maps.double_backward(g, h, w, y, a_h, a_w, a_y, edges)
            found = [maps.forward(h, w, y, edges), *first, *second]
        return dict(zip(QUANTITIES, found, strict=True))


QUANTITIES = [
    "messages",
    *(f"gradient by {x}" for x in ("features", "weights", "harmonics")),
    *(f"second gradient by {x}" for x in ("messages", "features", "weights", "harmonics")),
]
"""What :meth:`Probe.run` gives, in the order of the maps."""


def choose_backend(
    form: MessageForm, requested: Backend, device: torch.device, dtype: torch.dtype, channels: int = PROBE_CHANNELS
) -> MessageMaps:
    """The kernels to use. One that fails or deviates gives a warning with the reason, and plain torch."""
    backend = wanted_backend() if requested is Backend.AUTO else requested
    if backend is Backend.AUTO:
        backend = Backend.TRITON if device.type == "cuda" else Backend.PLAIN
    if backend is Backend.PLAIN:
        return PlainMaps(form)
    try:
        maps = make_maps(backend, form)
        reason = deviation(maps, form, device, dtype, channels)
    except Exception as error:  # a backend is other people's code and compilers: whatever it raises, it is not used
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if reason is None:
        return maps
    text = f"backend {backend} is not used on {device} in {str(dtype).removeprefix('torch.')}: {reason}"
    warnings.warn(text, BackendWarning, stacklevel=2)
    return PlainMaps(form)


def make_maps(backend: Backend, form: MessageForm) -> MessageMaps:
    """The kernels of a backend, not yet probed. Raises ImportError where its package is missing."""
    module, name = MAKERS[backend].split(":")
    maker: Callable[[MessageForm], MessageMaps] = getattr(import_module(module), name)
    return maker(form)


def deviation(
    maps: MessageMaps, form: MessageForm, device: torch.device, dtype: torch.dtype, channels: int = PROBE_CHANNELS
) -> str | None:
    """How the maps differ from plain torch by more than the tolerance on the probe, or None."""
    probe = Probe.make(form, channels)
    expected = probe.run(PlainMaps(form), torch.device("cpu"), torch.float64)
    found = probe.run(maps, device, dtype)
    limit = tolerance(device, dtype)
    for name, exact in expected.items():
        if found[name].shape != exact.shape:
            return f"{name} have the shape {tuple(found[name].shape)}, not {tuple(exact.shape)}"
        error = float((found[name].double().cpu() - exact).abs().max() / exact.abs().max())
        if not error <= limit:
            return f"{name} differ from plain torch by {error:.1e} of the largest, more than {limit:.0e}"
    return None


def tolerance(device: torch.device, dtype: torch.dtype) -> float:
    """Relative tolerance of the probe. Raises ValueError for a precision in which no backend is checked."""
    if dtype not in TOLERANCE:
        raise ValueError(f"no backend is checked in {dtype}")
    if device.type == "cuda" and dtype is torch.float32 and torch.backends.cuda.matmul.allow_tf32:
        return TOLERANCE_TF32
    return TOLERANCE[dtype]
