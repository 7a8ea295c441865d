from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from eqcli.geometry.irreps import Irreps, natural
from eqcli.nn import backends
from eqcli.nn.backend import Backend, using_backend
from eqcli.nn.backends import QUANTITIES, choose_backend, deviation, tolerance
from eqcli.nn.compiled_message import CompiledMaps
from eqcli.nn.message_maps import MessageForm, MessageMaps
from eqcli.nn.message_pass import MessagePass, form_of_irreps
from eqcli.nn.plain_message import PlainMaps
from tests.nn.message_reference import random_arguments, random_edges, slow_messages

CPU = torch.device("cpu")
FORM = form_of_irreps(natural(1, 1), natural(1))
CHANNELS = 2


class Spoiled(PlainMaps):
    """Plain torch with one of its results multiplied by `factor`, as a wrong kernel would give it."""

    def __init__(self, form: MessageForm, quantity: str, factor: float) -> None:
        super().__init__(form)
        self.place, self.factor = QUANTITIES.index(quantity), factor

    def forward(self, *arguments: object) -> Tensor:
        return self._spoil((super().forward(*arguments),), 0)[0]  # type: ignore[arg-type]

    def backward(self, *arguments: object) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self._spoil(super().backward(*arguments), 1)  # type: ignore[arg-type]

    def double_backward(self, *arguments: object) -> tuple[Tensor, ...]:  # type: ignore[override]
        return self._spoil(super().double_backward(*arguments), 4)  # type: ignore[arg-type]

    def _spoil(self, found: tuple[Tensor, ...], first: int) -> tuple[Tensor, ...]:
        return tuple(x * self.factor if first + i == self.place else x for i, x in enumerate(found))


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_an_error_in_any_of_the_maps_is_found(quantity: str, dtype: torch.dtype, error: float) -> None:
    reason = deviation(Spoiled(FORM, quantity, 1 + error), FORM, CPU, dtype, CHANNELS)
    assert reason is not None
    assert quantity in reason
    assert deviation(Spoiled(FORM, quantity, 1.0), FORM, CPU, dtype, CHANNELS) is None


def test_numbers_that_are_not_finite_are_found() -> None:
    reason = deviation(Spoiled(FORM, "messages", float("nan")), FORM, CPU, torch.float64, CHANNELS)
    assert reason is not None


def test_the_probe_has_lone_atoms_silent_atoms_and_uneven_degrees() -> None:
    edges = backends.Probe.make(FORM, CHANNELS).edges
    received = torch.bincount(edges.receiver, minlength=edges.n_atoms)
    assert (received == 0).any()
    assert len(received.unique()) > 3
    assert (torch.bincount(edges.sender, minlength=edges.n_atoms) == 0).any()


def use(monkeypatch: pytest.MonkeyPatch, maps: MessageMaps | Exception) -> None:
    def make(backend: Backend, form: MessageForm) -> MessageMaps:
        if isinstance(maps, Exception):
            raise maps
        return maps

    monkeypatch.setattr(backends, "make_maps", make)


def test_a_backend_that_matches_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    good = Spoiled(FORM, "messages", 1.0)
    use(monkeypatch, good)
    assert choose_backend(FORM, Backend.TRITON, CPU, torch.float64, CHANNELS) is good


@pytest.mark.parametrize(
    ("maps", "reason"),
    [
        (Spoiled(FORM, "gradient by weights", 1.1), "gradient by weights"),
        (ImportError("no module named 'fast'\nand more"), "no module named 'fast'"),
        (RuntimeError("no kernel image is available"), "no kernel image"),
    ],
    ids=["wrong", "missing", "failing"],
)
def test_one_that_does_not_gives_one_warning_and_plain_torch(
    monkeypatch: pytest.MonkeyPatch, maps: MessageMaps | Exception, reason: str
) -> None:
    use(monkeypatch, maps)
    layer = MessagePass(FORM, Backend.TRITON)
    edges = random_edges([2, 0, 1])
    arguments = random_arguments(FORM, edges, CHANNELS)
    with pytest.warns(UserWarning, match=reason) as warned:
        found = [layer(*arguments, edges) for _ in range(2)]
    assert len(warned) == 1
    assert "\n" not in str(warned[0].message)
    torch.testing.assert_close(found[1], slow_messages(FORM, *arguments, edges), atol=1e-12, rtol=1e-12)


def test_auto_on_a_processor_is_plain_and_probes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, AssertionError("nothing may be made here"))
    assert type(choose_backend(FORM, Backend.AUTO, CPU, torch.float32)) is PlainMaps


def test_auto_follows_the_wish_of_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    good = Spoiled(FORM, "messages", 1.0)
    use(monkeypatch, good)
    layer = MessagePass(FORM)
    with using_backend("triton"):
        assert layer.maps(CPU, torch.float64, CHANNELS) is good
        assert type(MessagePass(FORM, Backend.PLAIN).maps(CPU, torch.float64, CHANNELS)) is PlainMaps
    assert type(layer.maps(CPU, torch.float64, CHANNELS)) is PlainMaps


@pytest.fixture
def tf32() -> Iterator[Callable[[bool], None]]:
    """Switches TF32 and puts it back as it was."""
    before = torch.backends.cuda.matmul.allow_tf32

    def switch(allow: bool) -> None:
        torch.backends.cuda.matmul.allow_tf32 = allow

    yield switch
    switch(before)


def test_tolerances_have_names_for_each_precision(tf32: Callable[[bool], None]) -> None:
    cuda = torch.device("cuda")
    tf32(False)
    assert tolerance(cuda, torch.float32) == tolerance(CPU, torch.float32) == 1e-5
    tf32(True)
    assert tolerance(cuda, torch.float32) == backends.TOLERANCE_TF32
    assert tolerance(cuda, torch.float64) == 1e-12
    assert tolerance(CPU, torch.float32) == 1e-5
    with pytest.raises(ValueError, match="bfloat16"):
        tolerance(CPU, torch.bfloat16)


def test_a_backend_other_than_plain_gets_weights_that_are_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(MessageMaps):
        def __init__(self) -> None:
            self.plain = PlainMaps(FORM)
            self.forward, self.backward = self.plain.forward, self.plain.backward  # type: ignore[method-assign]
            self.double_backward = self.plain.double_backward  # type: ignore[method-assign]

    use(monkeypatch, Other())
    edges = random_edges([2, 0, 1])
    h, w, harmonics = random_arguments(FORM, edges, CHANNELS)
    radial, matrix = w[:, :3].contiguous(), w.new_ones(3, w.shape[1])
    found = MessagePass(FORM, Backend.TRITON)(h, radial, harmonics, edges, matrix)
    expected = slow_messages(FORM, h, radial @ matrix, harmonics, edges)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("irreps", [(natural(1, 1), natural(1)), (Irreps("2x0e"), natural(1))], ids=str)
def test_the_expression_to_compile_matches_plain_torch(
    irreps: tuple[Irreps, Irreps], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced with its derivatives and run without code generation; the next test generates code."""
    torch.compiler.reset()
    monkeypatch.setattr("eqcli.nn.edge_pieces.NUMBERS_AT_ONCE", 64)
    form = form_of_irreps(*irreps)
    assert deviation(CompiledMaps(form, "aot_eager"), form, CPU, torch.float64, CHANNELS) is None


@pytest.mark.slow
def test_compiled_code_matches_plain_torch() -> None:
    torch.compiler.reset()
    assert isinstance(choose_backend(FORM, Backend.COMPILED, CPU, torch.float64, CHANNELS), CompiledMaps)
