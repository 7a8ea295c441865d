"""Hyper-parameters of each potential, one module per system; :mod:`eqcli.models.potentials.config` is their table."""
