"""Traced potentials, metatomic files and compiled potentials against the potentials themselves."""

from __future__ import annotations

import shutil
import warnings
from functools import cache
from importlib import import_module

import numpy as np
import pytest
import torch
from ase import Atoms
from torch import Tensor
from torch.fx import GraphModule

from eqcli.engine.ase_calculator import PotentialCalculator
from eqcli.engine.compiled import compile_potential
from eqcli.engine.export_metatomic import SIGNATURE, export_metatomic, torchs_own_functions
from eqcli.engine.model_file import ModelFile
from eqcli.engine.torchscript import to_torchscript
from eqcli.engine.traced_check import deviation, probes, require_equal
from eqcli.engine.tracing import Arguments, arguments_of, energies_and_gradients, trace_potential
from eqcli.errors import InputError
from eqcli.graph.atom_graph import AtomGraph, batch_graphs, build_graph
from eqcli.models.potentials.base import Potential
from eqcli.models.potentials.build import make_potential
from eqcli.models.potentials.config import POTENTIALS
from eqcli.models.potentials.derive import edge_vectors, evaluate
from eqcli.models.potentials.ensemble import Ensemble
from eqcli.nn.backend import BackendWarning
from tests.toy import ToyPotential
from tests.toy_model import toy_model

SMALL: dict[str, dict[str, object]] = {
    "mace": {"channels": 4, "max_ell": 2, "radial_MLP": (8,)},
    "tensornet": {"channels": 4},
    "egnn": {"channels": 8},
}
"""Potentials that can be traced, with the sizes of a quick test."""

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def potential(name: str, dtype: torch.dtype = torch.float64) -> Potential:
    module, kind, config = POTENTIALS[name]
    torch.manual_seed(0)
    made: Potential = getattr(import_module(module), kind)(config(name=name, cutoff=4.0, **SMALL[name]), [1, 6, 8])
    made.reference_energies[:] = torch.tensor([-13.6, -1029.5, -2042.3], dtype=torch.float64)
    return made.to(dtype).eval().requires_grad_(False)


@cache
def traced(name: str, dtype: torch.dtype = torch.float64) -> tuple[Potential, GraphModule]:
    """A potential and its trace, which takes seconds to make."""
    model = potential(name, dtype)
    return model, trace_potential(model)


def molecule(n: int, seed: int = 0) -> Atoms:
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)[:n] * 1.3
    return Atoms(rng.choice([1, 6, 8], n), places + rng.uniform(-0.2, 0.2, (n, 3)))


def crystal(n: int) -> Atoms:
    atoms = molecule(n)
    atoms.set_cell(np.array([[4.1, 0.2, 0.0], [-0.3, 4.3, 0.4], [0.0, 0.3, 4.2]]))
    atoms.pbc = True
    return atoms


SYSTEMS = [
    Atoms("O"),
    Atoms("OH", [[0, 0, 0], [9, 0, 0]]),
    molecule(2),
    molecule(7),
    crystal(1),
    crystal(2),
    crystal(11),
]
"""One atom, no edges, and molecules and crystals of several sizes, some without some of the elements."""


def graph_of(atoms: Atoms, cutoff: float) -> AtomGraph:
    return build_graph(atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc, cutoff)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", SMALL)
def test_traces_hold_for_any_size_and_in_torchscript(name, dtype):
    model, trace = traced(name, dtype)
    script = to_torchscript(trace, SIGNATURE)
    graphs = [graph_of(atoms, model.cutoff) for atoms in SYSTEMS]
    for graph in [*graphs, batch_graphs(graphs)]:
        assert deviation(model, trace, graph) is None
        assert deviation(model, script, graph) is None


@pytest.mark.parametrize("name", SMALL)
def test_weights_choose_whose_energies_are_differentiated(name):
    model, trace = traced(name)
    graph = graph_of(molecule(7), model.cutoff)
    vectors = edge_vectors(graph, graph.positions, graph.cell)
    arguments, place, place_of_edge = arguments_of(model, graph, vectors)
    mask = torch.zeros(7, dtype=torch.float64)
    mask[2:4] = 1.0
    weights = torch.empty_like(mask)
    weights[place] = mask
    found = trace(*arguments._replace(weights=weights))[1][place_of_edge]
    positions = graph.positions.requires_grad_(True)
    energies = model.energies(graph, edge_vectors(graph, positions, graph.cell))
    (expected,) = torch.autograd.grad((energies * mask).sum(), positions)
    sender, receiver = graph.edge_index
    forces = torch.zeros(7, 3, dtype=torch.float64).index_add(0, sender, found).index_add(0, receiver, -found)
    torch.testing.assert_close(forces, expected, rtol=0, atol=1e-10 * float(expected.abs().max()))


def test_the_probes_hold_the_sizes_that_are_special():
    graphs = probes(potential("mace"))
    assert graphs[0].num_nodes == 1
    assert graphs[0].edge_index.shape[1] == 0
    assert any(bool(graph.pbc.all()) for graph in graphs)
    assert graphs[-1].n_structures > 3
    assert set(graphs[-1].numbers.tolist()) == {1, 6, 8}


class Frozen(ToyPotential):
    """Looks at the values of a tensor."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        energies = super().interaction_energies(graph, vectors)
        return energies if float(energies.sum()) < 0 else 2 * energies


class Fixed(ToyPotential):
    """Takes a size as a number, by a way that cannot be seen."""

    def interaction_energies(self, graph: AtomGraph, vectors: Tensor) -> Tensor:
        energies = super().interaction_energies(graph, vectors)
        return energies * (1.0 + 0.01 * energies.shape[0].__index__())


def ensemble(cutoffs: tuple[float, ...]) -> Potential:
    members = []
    for seed, cutoff in enumerate(cutoffs):
        torch.manual_seed(seed)
        config = POTENTIALS["egnn"][2](name="egnn", cutoff=cutoff, **SMALL["egnn"])
        members.append(make_potential(config, [1, 6, 8]))
    return Ensemble.of(members).eval().requires_grad_(False)


def test_ensembles_are_traced_as_their_mean():
    model = ensemble((4.0, 4.0))
    trace = trace_potential(model)
    for atoms in SYSTEMS:
        assert deviation(model, trace, graph_of(atoms, model.cutoff)) is None


def test_a_model_of_more_than_energies_is_not_compiled():
    model = compiled("eager", ensemble((4.0, 4.0)))
    graph = graph_of(molecule(5), model.cutoff)
    with pytest.warns(BackendWarning, match="energy_std"):
        assert "energy_std" in evaluate(model, graph)


def test_a_model_that_looks_at_values_is_refused():
    with pytest.raises(InputError, match="Frozen cannot be traced"):
        trace_potential(Frozen().to(torch.float64).requires_grad_(False))


def test_a_trace_that_holds_for_one_size_is_refused():
    model = Fixed().to(torch.float64).requires_grad_(False)
    with pytest.raises(InputError, match="is not the model"):
        require_equal(model, trace_potential(model), "the trace")


class Direct(ToyPotential):
    direct = ("forces",)


def test_forces_of_their_own_are_refused():
    with pytest.raises(InputError, match="not the gradient"):
        trace_potential(Direct().to(torch.float64))


def required(name: str):
    """A module of metatomic; the test is skipped where it is not installed."""
    with torchs_own_functions():
        return pytest.importorskip(name)


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [("mace", torch.float64, 1e-10), ("mace", torch.float32, 1e-5), ("egnn", torch.float64, 1e-10)],
)
def test_metatomic_s_calculator_gives_what_ours_gives(name, dtype, tolerance, tmp_path):
    metatomic_ase = required("metatomic_ase")
    model = ModelFile(potential(name, dtype), {})
    export_metatomic(model, tmp_path / "model.pt")
    theirs, ours = metatomic_ase.MetatomicCalculator(tmp_path / "model.pt"), PotentialCalculator(model)
    for atoms in SYSTEMS:
        results = []
        for calculator in (theirs, ours):
            copy = atoms.copy()
            copy.calc = calculator
            results.append([copy.get_potential_energy(), copy.get_forces()])
            if atoms.pbc.all():
                results[-1].append(copy.get_stress())
        interaction = abs(
            results[1][0]
            - model.potential.reference_energies[model.potential.species(graph_of(atoms, 4.0))].sum().item()
        )
        assert abs(results[0][0] - results[1][0]) <= tolerance * interaction + 1e-12
        for found, expected in zip(results[0][1:], results[1][1:], strict=True):
            # Forces that symmetry cancels are rounding on both sides.
            np.testing.assert_allclose(found, expected, atol=tolerance * max(np.abs(expected).max(), 1e-2))


def test_metatomic_s_selected_atoms_have_their_energies_and_gradients(tmp_path):
    metatomic, metatensor, vesin = (
        required(name) for name in ("metatomic.torch", "metatensor.torch", "vesin.metatomic")
    )
    model = potential("mace")
    export_metatomic(ModelFile(model, {}), tmp_path / "model.pt")
    loaded = metatomic.load_atomistic_model(tmp_path / "model.pt")
    (request,) = loaded.requested_neighbor_lists()
    neighbours = vesin.NeighborList(request, length_unit="angstrom")
    systems, energies, positions = [], [], []
    for atoms in (molecule(6), crystal(3)):
        x = torch.tensor(atoms.positions, requires_grad=True)
        system = metatomic.System(
            torch.tensor(atoms.numbers, dtype=torch.int32), x, torch.tensor(atoms.cell.array), torch.tensor(atoms.pbc)
        )
        neighbours.add_neighbor_list([system], copy=True)
        systems.append(system)
        positions.append(x)
        graph = graph_of(atoms, model.cutoff)
        y = graph.positions.requires_grad_(True)
        energies.append((model.energies(graph, edge_vectors(graph, y, graph.cell)), y))
    chosen = torch.tensor([[0, 1], [0, 4], [1, 2]], dtype=torch.int32)
    selected = metatensor.Labels(["system", "atom"], chosen)
    expected = [energies[0][0][[1, 4]], energies[1][0][[2]]]
    slopes = [torch.autograd.grad(e.sum(), y)[0] for e, (_, y) in zip(expected, energies, strict=True)]
    for kind in ("atom", "system"):
        options = metatomic.ModelEvaluationOptions(
            length_unit="angstrom",
            outputs={"energy": metatomic.ModelOutput(unit="eV", sample_kind=kind)},
            selected_atoms=selected,
        )
        block = loaded(systems, options, check_consistency=True)["energy"].block()
        whole = torch.cat(expected) if kind == "atom" else torch.stack([e.sum() for e in expected])
        torch.testing.assert_close(block.values.flatten(), whole.detach(), rtol=1e-12, atol=0)
        found = torch.autograd.grad(block.values.sum(), positions, retain_graph=True)
        for one, other in zip(found, slopes, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-10 * float(other.abs().max()))


def test_an_export_that_fails_leaves_no_file(tmp_path):
    required("metatomic.torch")
    with pytest.raises(InputError, match="cannot be traced"):
        export_metatomic(ModelFile(Frozen().to(torch.float64).requires_grad_(False), {}), tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())


def compiled(compiler: str, model: Potential | None = None) -> Potential:
    model = model or toy_model().potential
    compile_potential(model, compiler)
    return model


@pytest.mark.parametrize("name", ["mace", "egnn"])
def test_compiled_potentials_give_the_same(name):
    torch.compiler.reset()
    plain, fast = potential(name), compiled("eager", potential(name))
    with warnings.catch_warnings():
        warnings.simplefilter("error", BackendWarning)
        for atoms in (molecule(7), crystal(11), crystal(2), Atoms("O")):
            graph = graph_of(atoms, plain.cutoff)
            stress = bool(atoms.pbc.all())
            found, expected = evaluate(fast, graph, stress=stress), evaluate(plain, graph, stress=stress)
            for key in expected:
                torch.testing.assert_close(found[key], expected[key], rtol=1e-10, atol=1e-10)
    assert fast.compute.program is not None


def test_a_compiled_potential_has_no_second_derivatives():
    torch.compiler.reset()
    fast = compiled("eager")
    graph = graph_of(molecule(5), fast.cutoff)
    positions = graph.positions.requires_grad_(True)
    energies = fast.compute(graph, edge_vectors(graph, positions, graph.cell))["atomic_energies"]
    (slope,) = torch.autograd.grad(energies.sum(), positions, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        slope.sum().backward()


def wrong(graph, inputs):
    return lambda *a: [1.01 * x for x in graph.forward(*a)]


def broken(graph, inputs):
    raise ValueError("no compiler here")


@pytest.mark.parametrize(("compiler", "said"), [(wrong, "differ by"), (broken, "no compiler here")])
def test_what_differs_or_fails_is_not_used(compiler, said):
    torch.compiler.reset()
    model = compiled(compiler)
    graph = graph_of(molecule(5), model.cutoff)
    with pytest.warns(BackendWarning, match="compiled model is not used") as told:
        found = evaluate(model, graph)
    assert len(told) == 1
    assert said in model.compute.reason
    torch.testing.assert_close(found["forces"], evaluate(toy_model().potential, graph)["forces"], rtol=0, atol=0)


def test_code_for_other_sizes_is_compared_too():
    torch.compiler.reset()
    model = compiled("eager")
    graph = graph_of(molecule(9), model.cutoff)
    assert {1, 6, 8} == set(graph.numbers.tolist())
    evaluate(model, graph)
    program = model.compute.program
    model.compute.program = lambda *given: [1.01 * x for x in program(*given)]
    single = graph_of(Atoms("OH", [[0, 0, 0], [1.1, 0, 0]]), model.cutoff)
    with pytest.warns(BackendWarning, match="differ by"):
        found = evaluate(model, single)
    torch.testing.assert_close(found["forces"], evaluate(toy_model().potential, single)["forces"], rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler")
def test_inductor_gives_the_same():
    torch.compiler.reset()
    plain, fast = potential("egnn"), compiled("inductor", potential("egnn"))
    for n in (7, 11):
        graph = graph_of(molecule(n), plain.cutoff)
        torch.testing.assert_close(
            evaluate(fast, graph)["forces"], evaluate(plain, graph)["forces"], rtol=0, atol=1e-10
        )
    assert fast.compute.program is not None


def test_traced_code_gives_the_same_before_any_tracing():
    model = potential("mace")
    for atoms in SYSTEMS[3:]:
        graph = graph_of(atoms, model.cutoff)
        assert deviation(model, lambda *given: energies_and_gradients(model, Arguments(*given)), graph) is None
