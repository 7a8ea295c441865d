"""Generators of crystals and molecules, docking and registration networks on the pretended device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import tests.generator_case as crystals
import tests.molecule_case as molecules
from eqcli.diffusion.dense_noise import DenseNoise, seeded_noise
from eqcli.diffusion.noise import SeededNoise
from eqcli.graph.crystal_batch import CrystalBatch
from eqcli.graph.molecule_batch import MoleculeBatch
from eqcli.models.docking.base import DockingNetwork
from eqcli.models.generators.base import CrystalGenerator
from eqcli.models.molecules.base import MoleculeGenerator
from eqcli.models.pointcloud.base import RegistrationNetwork
from tests.contracts import test_docking as docking
from tests.contracts import test_generators as generators
from tests.contracts import test_molecules as designs
from tests.contracts import test_pointcloud as clouds
from tests.pretended.twice import assert_same_on_device, gradients

# Each lattice with each form of species; networks take turns, since they are given the same things.
CRYSTALS = [
    f"{name}-{lattice}-{form}-{list(crystals.NETWORKS)[k % 2]}"
    for name, lattices in crystals.LATTICES.items()
    for j, lattice in enumerate(lattices)
    for k, form in enumerate(crystals.FORMS, start=j)
]
MOLECULES = [f"{system}-{network}" for system in molecules.SYSTEMS for network in molecules.NETWORKS]


def noise_of(batch: CrystalBatch) -> SeededNoise:
    numbers = torch.arange(len(batch), device=batch.numbers.device)
    return SeededNoise(0, numbers, batch.batch, batch.within, torch.float64)


@pytest.mark.parametrize("name", CRYSTALS)
def test_generators_of_crystals(name: str) -> None:
    def compute(model: CrystalGenerator, device: torch.device) -> Sequence[Tensor | None]:
        batch = crystals.crystals().to(device)
        terms = model.losses(batch, noise_of(batch))
        terms["loss"].backward()
        out = [*terms.values(), *gradients(model)]
        for way in generators.ways(model):
            request = crystals.wanted(crystals.crystals()).to(device)
            sampling = generators.settings(model, **{**way, "steps": 2})
            with torch.no_grad():
                made = model.sample(request, noise_of(request), sampling, guidance=1.0).crystals
            out += [made.numbers, made.fractional, made.cell]
        return out

    assert_same_on_device(lambda: crystals.generator(crystals.VARIANTS[name]), compute)


def dense_noise_of(batch: MoleculeBatch) -> DenseNoise:
    return seeded_noise(0, torch.arange(len(batch), device=batch.numbers.device), batch.width, torch.float64)


@pytest.mark.parametrize("name", MOLECULES)
def test_generators_of_molecules(name: str) -> None:
    def compute(model: MoleculeGenerator, device: torch.device) -> Sequence[Tensor | None]:
        batch = molecules.molecules().to(device)
        terms = model.losses(batch, dense_noise_of(batch))
        terms["loss"].backward()
        request = molecules.wanted().to(device)
        with torch.no_grad():
            made = model.sample(request, dense_noise_of(request), designs.settings(model, steps=2), guidance=1.0)
        found = made.molecules
        return [*terms.values(), *gradients(model), found.numbers, found.positions, found.charges, found.bonds]

    assert_same_on_device(lambda: molecules.generator(molecules.VARIANTS[name]), compute)


@pytest.mark.parametrize("name", sorted(docking.DOCKING))
def test_docking_networks(name: str) -> None:
    def compute(model: DockingNetwork, device: torch.device) -> Sequence[Tensor | None]:
        batch = docking.complex_of(20, 7, 3)
        batch = replace(batch, truth=docking.truth_of(batch), judged=docking.judged_of(3, 7, 4)).to(device)
        terms = model.losses(batch)
        terms["loss"].backward()
        poses = model.poses(batch)
        assert batch.judged is not None
        return [*terms.values(), *gradients(model), poses.rigid, poses.uncorrected, model.confidence(batch.judged)]

    assert_same_on_device(lambda: docking.network(name), compute)


@pytest.mark.parametrize("name", sorted(clouds.POINT_CLOUD_MODELS))
def test_networks_of_registration(name: str) -> None:
    def compute(model: RegistrationNetwork, device: torch.device) -> Sequence[Tensor | None]:
        truth = torch.eye(4, dtype=torch.float64)
        batch = clouds.batch_of(model, *clouds.halves(), truth).to(device)
        terms = model.losses(batch)
        terms["loss"].backward()
        found = model.matches(batch)[0]
        return [*terms.values(), *gradients(model), found.source.features, found.index, found.rotations]

    assert_same_on_device(lambda: clouds.network(name), compute)
