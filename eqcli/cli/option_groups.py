"""Options of a subcommand that stand in tables, and reach it as one dictionary of those that were given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

F = TypeVar("F", bound=Callable[..., Any])

Option = tuple[Any, str | tuple[str, ...], dict[str, Any], str]
"""Type, name or names of the option, its settings, help."""


def option_group(into: str, panels: Mapping[str, Mapping[str, Option]]) -> Callable[[F], F]:
    """Gives a subcommand the options of tables by argument; it takes those that were given in its argument `into`.

    Parameters
    ----------
    panels
        Heading in the help -> argument -> option.
    """
    every = {name: option for table in panels.values() for name, option in table.items()}

    def was_given(name: str, value: Any) -> bool:
        """A flag is False where it was not given; one that may be denied, too, is None then."""
        return value is not None and value != [] and not (value is False and every[name][0] is bool)

    def decorated(command: F) -> F:
        signature = inspect.signature(command, eval_str=True)
        added = [
            inspect.Parameter(
                f"{into}_{name}",
                inspect.Parameter.KEYWORD_ONLY,
                default=False if kind is bool else None,
                annotation=Annotated[
                    kind,
                    typer.Option(
                        *([names] if isinstance(names, str) else names), help=text, rich_help_panel=panel, **settings
                    ),
                ],
            )
            for panel, table in panels.items()
            for name, (kind, names, settings, text) in table.items()
        ]

        @wraps(command)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            values = {name: kwargs.pop(f"{into}_{name}") for name in every}
            return command(*args, **{into: {k: v for k, v in values.items() if was_given(k, v)}}, **kwargs)

        parameters = [*(p for p in signature.parameters.values() if p.name != into), *added]
        wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
        return wrapper  # type: ignore[return-value]

    return decorated
