"""eqcli: an equivariant workbench for molecules and materials."""

__version__ = "0.1.0"
