"""Writes the generated parts of the reference pages from the code that they document.

    python docs/generate.py

A page marks each such part with `<!-- generated: NAME -->` and `<!-- end -->`; the rest of the page is written by hand.
The tests check that no part is out of date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

DOCS = Path(__file__).resolve().parent
PART = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (new := current(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.relative_to(DOCS.parent)}")


def pages() -> list[Path]:
    """Pages that have generated parts."""
    return [page for page in sorted(DOCS.rglob("*.md")) if PART.search(page.read_text(encoding="utf-8"))]


def current(text: str) -> str:
    """The text of a page with every generated part as the code now has it."""
    return PART.sub(lambda found: f"{found[1]}\n{PARTS[found['name']]()}\n\n{found[3]}", text)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows])


def train_recipe() -> str:
    from eqcli.recipe.schema import TrainRecipe

    return "\n\n".join(sections(TrainRecipe, ""))


def dynamics_recipe() -> str:
    from eqcli.recipe.dynamics import DynamicsRecipe

    return "\n\n".join(sections(DynamicsRecipe, ""))


def generators_recipe() -> str:
    from eqcli.recipe.generators import GeneratorRecipe

    return "\n\n".join(sections(GeneratorRecipe, ""))


def molecules_recipe() -> str:
    from eqcli.recipe.molecules import MoleculesRecipe

    return "\n\n".join(sections(MoleculesRecipe, ""))


def docking_recipe() -> str:
    from eqcli.recipe.docking import DockingRecipe

    return "\n\n".join(sections(DockingRecipe, ""))


def pointcloud_recipe() -> str:
    from eqcli.recipe.pointcloud import PointCloudRecipe

    return "\n\n".join(sections(PointCloudRecipe, ""))


def pipeline_recipe() -> str:
    from eqcli.recipe.schema import PipelineRecipe

    return "\n\n".join(sections(PipelineRecipe, ""))


def cluster_recipe() -> str:
    from eqcli.recipe.cluster import ClusterRecipe

    return "\n\n".join(sections(ClusterRecipe, ""))


def pipeline_steps() -> str:
    from eqcli.recipe.steps import ARGUMENTS, outputs

    parts = []
    for task, model in ARGUMENTS.items():
        made = outputs(task, model.model_construct(output="file", trajectory="file"))
        names = ", ".join(f"`{name}`" for name in made)
        parts.append(f"### `{task}`\n\n{doc(model)} Others may refer to its {names}.\n\n{field_table(model)}")
    return "\n\n".join(parts)


def label_names() -> str:
    from eqcli.io.conventions import ENERGY_KEYS, FORCES_KEYS, STRESS_KEYS, VIRIAL_KEYS

    names = {
        "energy": ENERGY_KEYS,
        "forces": FORCES_KEYS,
        "stress": STRESS_KEYS,
        "virial, where there is no stress": VIRIAL_KEYS,
    }
    return table(("label", "names"), [(what, ", ".join(f"`{key}`" for key in keys)) for what, keys in names.items()])


def label_convention() -> str:
    from eqcli.io.conventions import LabelConvention

    return field_table(LabelConvention)


def file_formats() -> str:
    from eqcli.io.formats import FORMATS

    def mark(value: bool) -> str:
        return "yes" if value else "no"

    rows = [
        (
            str(name),
            ", ".join(f"`{suffix}`" for suffix in spec.suffixes),
            mark(spec.reads),
            mark(spec.writes),
            mark(spec.many),
            mark(spec.labels),
            spec.cell,
            spec.description,
        )
        for name, spec in FORMATS.items()
    ]
    return table(("name", "endings", "read", "written", "many structures", "labels", "cell", "what"), rows)


def audits() -> str:
    from eqcli.audit.tolerances import TOLERANCES

    rows = [
        (limit.title, f"`{key}`", f"{limit.limit:g} {limit.unit}", "yes" if limit.claimed else "no", limit.meaning)
        for key, limit in TOLERANCES.items()
    ]
    return table(("check", "key", "limit", "claimed", "meaning"), rows)


def products() -> str:
    """Every tensor product with what it costs."""
    from eqcli.geometry.products.family import PRODUCTS

    rows = []
    for name, kind in PRODUCTS.items():
        product = kind.build(2 if kind.fixed is None else kind.fixed, 16)
        told = product.explain()
        symmetry = "O(3)" if product.parity else "SO(3)"
        figures = (f"{len(told.paths)}", f"{told.weights:,}", f"{told.multiply_adds:,}", f"{told.bytes:,}")
        rows.append((f"`{name}`", kind.summary, symmetry, *figures))
    return table(("name", "what it is", "symmetry", "paths", "weights", "multiply-adds", "bytes"), rows)


def expressivity() -> str:
    """What MACE of several orders and depths tells apart: seeds out of ten, measured now."""
    from eqcli.audit.gwl import gwl_tests
    from eqcli.models.potentials.config import MACEConfig
    from eqcli.models.potentials.mace import MACE

    columns, head = [], []
    for depth, message, factors, edge in MACE_ARCHITECTURES:
        config = MACEConfig(
            channels=4,
            radial_MLP=(8, 8),
            num_interactions=depth,
            max_L=message,
            correlation=factors,
            max_ell=edge,
        )
        columns.append(gwl_tests(MACE(config, [6])))
        head.append(f"T={depth} L={message} ν={factors} l={edge}")
    rows = []
    for group in zip(*columns, strict=True):
        cells = [f"{'✓' if r.passed else '✗'} {r.separated}/{len(r.differences)}" for r in group]
        assert all(result.agrees for result in group), f"theory and measurement disagree: {group[0].pair.title}"
        rows.append((group[0].pair.title, group[0].pair.needs, *cells))
    return table(("test", "needs", *head), rows)


MACE_ARCHITECTURES = [(1, 1, 3, 3), (2, 1, 3, 3), (3, 1, 3, 2), (3, 0, 3, 3), (2, 1, 1, 3), (4, 2, 2, 5)]
"""Layers, degree of the messages, factors of the product and degree of the harmonics."""


def sections(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """A heading and a table for a section and for each one below it."""
    from eqcli.recipe.fields import annotation_of, fields, models

    title = f"`{prefix}`" if prefix else "Top level"
    yield f"### {title}\n\n{doc(model)}\n\n{field_table(model)}"
    for key, info in fields(model).items():
        for below in models(annotation_of(info)):
            yield from sections(below, f"{prefix}.{key}".lstrip("."))


def doc(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def field_table(model: type[BaseModel]) -> str:
    from eqcli.recipe.fields import aliases, annotation_of, describe, fields

    other = {name: alias for alias, name in aliases(model).items()}
    rows = []
    for key, info in fields(model).items():
        meaning = info.description or ""
        if key in other:
            meaning += f" Also `{other[key]}`."
        kind = describe(annotation_of(info)) + bounds(info)
        rows.append((f"`{key}`", kind, default(info), meaning))
    return table(("key", "what may stand there", "default", "meaning"), rows)


def bounds(info: FieldInfo) -> str:
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    found = [
        f", {word} {getattr(mark, name):g}"
        for mark in info.metadata
        for name, word in words.items()
        if getattr(mark, name, None) is not None
    ]
    return "".join(found)


def default(info: FieldInfo) -> str:
    value: Any = info.get_default(call_default_factory=True)  # type: ignore[call-arg]
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        given = value.model_dump(exclude_unset=True)
        return ", ".join(f"`{k}: {v}`" for k, v in given.items()) if given else "its defaults"
    if value is None:
        return "absent"
    if isinstance(value, tuple):
        value = list(value)
    return f"`{value}`" if value not in ([], {}) else "none"


PARTS: dict[str, Callable[[], str]] = {
    "train-recipe": train_recipe,
    "dynamics-recipe": dynamics_recipe,
    "generators-recipe": generators_recipe,
    "molecules-recipe": molecules_recipe,
    "docking-recipe": docking_recipe,
    "pointcloud-recipe": pointcloud_recipe,
    "pipeline-recipe": pipeline_recipe,
    "cluster-recipe": cluster_recipe,
    "pipeline-steps": pipeline_steps,
    "label-names": label_names,
    "label-convention": label_convention,
    "file-formats": file_formats,
    "audits": audits,
    "expressivity": expressivity,
    "products": products,
}


if __name__ == "__main__":
    main()
