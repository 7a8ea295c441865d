"""The file of a cluster: its mistakes are told with their lines, and it is no recipe of anything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from eqcli.errors import ErrorGroup, InputError
from eqcli.recipe.cluster import ClusterRecipe
from eqcli.recipe.describe import describe_recipe
from eqcli.recipe.fields import fields
from eqcli.recipe.load import load_cluster, load_pipeline, load_recipe, load_train_recipe
from eqcli.recipe.steps import train_recipes
from eqcli.recipe.template import json_schema, template
from tests.recipe.conftest import mistakes

Write = Callable[..., Path]


def test_the_template_is_the_defaults(write: Write) -> None:
    assert load_cluster(write(template("cluster"))) == ClusterRecipe(task="cluster")


def test_every_key_is_described() -> None:
    assert all(info.description for info in fields(ClusterRecipe).values())
    assert "ClusterRecipe" in json_schema()["$defs"]


def test_all_mistakes_are_told_at_once_with_their_lines(write: Write) -> None:
    text = """
    task: cluster
    scheduler: slrum
    workes: 3
    walltime: 30:00
    memory: 16 XB
    queue: a b
    options: ["#SBATCH --constraint=a100"]
    setup: ["one\\ntwo"]
    """
    found = mistakes(write(text))
    assert [error.where.line for error in found] == [2, 3, 4, 5, 6, 7, 8]
    assert [error.hint for error in found[:2]] == ["Did you mean 'slurm'?", "Did you mean 'workers'?"]
    assert "hours:minutes:seconds" in found[2].message
    assert "--constraint=a100" in found[5].message


def test_a_file_without_task_is_known_by_its_scheduler(write: Write) -> None:
    (error,) = mistakes(write("scheduler: slurm"))
    assert error.where.key == "task"


def test_it_is_neither_trained_nor_run(write: Write) -> None:
    path = write("{task: cluster, scheduler: pbs, cores: 4}")
    for load in (load_train_recipe, load_pipeline):
        with pytest.raises(InputError, match="describes a cluster"):
            load(path)
    recipe = load_recipe(path)
    assert train_recipes(recipe) == {}
    assert describe_recipe(recipe)["scheduler"] == "pbs"


def test_another_recipe_is_no_cluster(write: Write) -> None:
    training = write("{name: run, data: {train: data.extxyz}, model: {name: mace}}")
    with pytest.raises(InputError, match="describes no cluster"):
        load_cluster(training)


def test_overrides_change_it(write: Write) -> None:
    path = write("{task: cluster, scheduler: slurm, cores: 4}")
    assert load_cluster(path, ["cores=8"]).cores == 8
    with pytest.raises(ErrorGroup):
        load_cluster(path, ["cores=many"])
