"""Molecules drawn flat: SVG text in the colours of the page, and grids of it.

Carbon and hydrogen have the colour of text, other elements one of four that are told apart with every kind of colour
vision; the symbols say the same. What RDKit refuses is drawn with the bonds that it has, its faulty atoms ringed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eqcli.errors import InputError
from eqcli.files import atomic_path
from eqcli.io.structure import Structure, formula
from eqcli.report.html import Markup, page, tag
from eqcli.report.style import LIGHT, STAND_INS

if TYPE_CHECKING:
    from rdkit.Chem import Mol

LARGEST: Final = 300
"""Atoms beside hydrogen in a picture; nobody can read more."""

_COLOURS: Final = {
    **dict.fromkeys((1, 6, -1), "ink"),
    7: "c0",
    8: "c1",
    **dict.fromkeys((9, 17, 35, 53), "c2"),
    **dict.fromkeys((15, 16), "c3"),
}


@dataclass(frozen=True)
class Depiction:
    """A molecule drawn flat.

    Attributes
    ----------
    svg
        An `<svg>` element without identifiers, which can stand in a page or in a file of its own.
    words
        Its SMILES, of a broken one as it stands, or the formula where there is none.
    reason
        Why it is no molecule; empty for those that RDKit sanitises.
    by_rule
        Whether the bonds are those of the bond rule, since the structure states none.
    """

    svg: str
    words: str
    reason: str = ""
    by_rule: bool = False


def depiction(source: Structure | Mol, *, width: int = 220, height: int = 160) -> str:
    """The SVG text of a molecule, `width` by `height` pixels or less where a page has less room."""
    return depict(source, width=width, height=height).svg


def depict(source: Structure | Mol, *, width: int = 220, height: int = 160) -> Depiction:
    """Draws a molecule, whatever is wrong with it; what cannot be drawn becomes a picture of its formula.

    Bonds are those that a structure states, or else those of the bond rule.
    """
    given, by_rule, name = source, False, ""
    if isinstance(source, Structure):
        name = formula(source.numbers) if (source.numbers > 0).all() else f"{len(source)} atoms"
        by_rule = source.info.get("bonds") is None and len(source) > 1
        try:
            given = _molecule(source, by_rule)
        except InputError as error:
            return Depiction(_blank(name, width, height), name, error.message, by_rule)
    return replace(_depict(given, name, width, height), by_rule=by_rule)


def _molecule(structure: Structure, by_rule: bool) -> Mol:
    from eqcli.io.rdkit_build import molecule_of
    from eqcli.metrics.molecules.bond_rule import bonds_by_rule

    if not by_rule:
        return molecule_of(structure)
    # The rule knows no charges, and a molecule by it is judged without.
    bare = replace(structure, arrays={})
    return molecule_of(bare, bonds=bonds_by_rule(structure.numbers, structure.positions))


def _depict(molecule: Any, name: str, width: int, height: int) -> Depiction:
    from rdkit import Chem, rdBase

    from eqcli.io.rdkit_molecule import sanitised

    reason, marked = "", list[int]()
    with rdBase.BlockLogs():
        try:
            shown = Chem.RemoveHs(sanitised(molecule))
        except InputError as error:
            reason = error.message
            shown, marked = _broken(molecule)
        words = Chem.MolToSmiles(shown) or name
        heavy = sum(atom.GetAtomicNum() > 1 for atom in shown.GetAtoms())
        if heavy > LARGEST or not shown.GetNumAtoms():
            return Depiction(_blank(name or f"{heavy} atoms", width, height), words, reason)
        try:
            svg = _drawn(shown, marked, not reason, words, (width, height))
        except (ValueError, RuntimeError):
            # RDKit finds no place for the atoms of some broken molecules.
            svg = _blank(name or words, width, height)
        return Depiction(svg, words, reason)


def _broken(molecule: Any) -> tuple[Any, list[int]]:
    """A molecule that RDKit refuses, with the hydrogens of its faulty atoms alone, and these atoms."""
    from rdkit import Chem

    faulty: set[int] = set()
    for fault in Chem.DetectChemistryProblems(molecule):
        atoms = fault.GetAtomIndices() if hasattr(fault, "GetAtomIndices") else [fault.GetAtomIdx()]
        faulty |= set(atoms)
    shown = Chem.RWMol(molecule)
    for atom in shown.GetAtoms():
        atom.SetBoolProp("_faulty", atom.GetIdx() in faulty)
    for atom in reversed(list(shown.GetAtoms())):
        held = atom.GetNeighbors()
        if atom.GetAtomicNum() == 1 and len(held) == 1 and not atom.GetBoolProp("_faulty"):
            only = held[0]
            if only.GetAtomicNum() > 1 and not only.GetBoolProp("_faulty"):
                only.SetNumExplicitHs(only.GetNumExplicitHs() + 1)
                shown.RemoveAtom(atom.GetIdx())
    shown.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(shown)
    return shown, [atom.GetIdx() for atom in shown.GetAtoms() if atom.GetBoolProp("_faulty")]


def _drawn(molecule: Any, marked: list[int], sane: bool, words: str, size: tuple[int, int]) -> str:
    from rdkit.Chem import rdDepictor
    from rdkit.Chem.Draw import rdMolDraw2D

    rdDepictor.Compute2DCoords(molecule)
    # A molecule that is not sane has no Kekulé form and no stereochemistry to prepare.
    ready = rdMolDraw2D.PrepareMolForDrawing(molecule, addChiralHs=False) if sane else molecule
    drawer = rdMolDraw2D.MolDraw2DSVG(*size)
    options: Any = drawer.drawOptions()
    options.clearBackground = False
    options.prepareMolsBeforeDrawing = False
    options.padding = 0.08
    options.maxFontSize = 18
    options.fixedBondLength = 28
    options.setAtomPalette({number: _rgb(colour) for number, colour in _COLOURS.items()})
    options.setHighlightColour(_rgb("bad"))
    drawer.DrawMolecule(ready, highlightAtoms=marked, highlightBonds=[])
    drawer.FinishDrawing()
    return _themed(drawer.GetDrawingText(), words, size)


def _rgb(colour: str) -> tuple[float, float, float]:
    stand_in = STAND_INS[colour]
    red, green, blue = (int(stand_in[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return red, green, blue


def _themed(document: str, words: str, size: tuple[int, int]) -> str:
    """RDKit's document as one element: named, without classes, in the variables of the page or the light colours."""
    body = document[document.index("<!-- END OF HEADER -->") :].split("\n", 1)[1]
    body = re.sub(r"\s(?:class|id)='[^']*'", "", body)
    # Colours of attributes cannot be variables everywhere, those of styles can.
    body = re.sub(r"\sfill='(#[0-9A-Fa-f]{6})'", r" style='fill:\1'", body)
    for declaration in ("fill-rule:evenodd;", "stroke-linecap:butt;", "stroke-linejoin:miter;", ";stroke-opacity:1"):
        body = body.replace(declaration, "")
    # A ring that lets its symbol be read on white and on black.
    body = re.sub(r"(<ellipse[^>]*style='fill:[^;]*;)", r"\1fill-opacity:.2;", body)
    for name, stand_in in STAND_INS.items():
        body = re.sub(stand_in, f"var(--{name},{LIGHT[name]})", body, flags=re.IGNORECASE)
    return f"{_opening(words, size)}{body.strip()}"


def _opening(words: str, size: tuple[int, int]) -> str:
    width, height = size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(words, quote=True)}" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    )


def _blank(words: str, width: int, height: int) -> str:
    """A picture of words, for what cannot be drawn."""
    colour = f"var(--muted,{LIGHT['muted']})"
    return (
        f"{_opening(words, (width, height))}"
        f'<text x="{width / 2:g}" y="{height / 2:g}" text-anchor="middle" font-size="15" font-family="sans-serif" '
        f'style="fill:{colour}">{escape(words)}</text></svg>'
    )


def depiction_grid(
    structures: Sequence[Structure | Mol],
    captions: Sequence[str] = (),
    path: str | Path | None = None,
    *,
    title: str = "Molecules",
) -> Markup:
    """Molecules side by side, each with its caption, or else its SMILES, and what is wrong with it.

    Parameters
    ----------
    captions
        As many as structures, or none.
    path
        A page of its own with the grid, replaced where it exists; None for none.
    title
        Headline of that page.

    Raises
    ------
    ValueError
        There are captions, and not as many as structures.
    """
    if captions and len(captions) != len(structures):
        raise ValueError(f"{len(captions)} captions for {len(structures)} structures")
    drawn = [depict(structure) for structure in structures]
    figures = [_figure(one, captions[k] if captions else one.words) for k, one in enumerate(drawn)]
    grid = tag("div", *figures, cls="molecules")
    if path is not None:
        with atomic_path(path) as temporary:
            temporary.write_text(page(title, [tag("h1", title), grid]), encoding="utf-8")
    return grid


def _figure(one: Depiction, caption: str) -> Markup:
    lines = [tag("div", caption)]
    if one.reason:
        lines.append(tag("div", tag("span", "broken: ", cls="fail"), one.reason, cls="sub"))
    if one.by_rule:
        lines.append(tag("div", "bonds by the bond rule", cls="sub"))
    return tag("figure", Markup(one.svg), tag("figcaption", *lines), cls="broken" if one.reason else "")
