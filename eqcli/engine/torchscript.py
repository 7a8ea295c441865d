"""A traced graph as TorchScript, which programs without Python run."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.fx import GraphModule, Node

from eqcli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

INFIX: dict[Callable[..., Any], str] = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.floordiv: "//",
}
"""Arithmetic of sizes."""

OPTIONAL_INDICES = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default)
"""Operations whose second argument may leave out indices: TorchScript must be told so."""

DROPPED = ("layout", "pin_memory")
"""Options of operations that say what holds anyway."""


def to_torchscript(graph: GraphModule, signature: str) -> torch.jit.ScriptModule:
    """A script module whose `forward` does what the graph does; its tensors follow it from device to device.

    Parameters
    ----------
    graph
        Of :func:`eqcli.engine.tracing.trace_potential`.
    signature
        Arguments of `forward`, with types; the last may be a list that holds all that remain of the graph's.

    Raises
    ------
    InputError
        An operation that TorchScript does not have.
    """
    # A class of its own: TorchScript would give modules of one class one `forward`.
    holder: nn.Module = type("TracedEnergies", (nn.Module,), {})()
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            tensor = getattr(graph, str(node.target)).detach().clone()
            holder.register_buffer(_constant(node), tensor)
    module = torch.jit.script(holder)
    source = script_source(graph, signature)
    try:
        module.define(source)
    except RuntimeError as error:
        raise InputError(f"TorchScript cannot say this model: {str(error).strip().splitlines()[0]}") from error
    return module


def script_source(graph: GraphModule, signature: str) -> str:
    """The text of `forward`."""
    names = [part.split(":")[0].strip() for part in signature.split(",")]
    lines = []
    inputs = 0
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            last = len(names) - 1
            value = names[inputs] if inputs < last else f"{names[last]}[{inputs - last}]"
            inputs += 1
        elif node.op == "get_attr":
            value = f"self.{_constant(node)}"
        elif node.op == "output":
            lines.append(f"return {', '.join(_text(each) for each in node.args[0])}")
            continue
        else:
            value = _call(node, names[0])
        lines.append(f"{node.name} = {value}")
    return f"def forward(self, {signature}):\n" + "\n".join(f"    {line}" for line in lines) + "\n"


def _constant(node: Node) -> str:
    return f"c{str(node.target).replace('.', '_')}"


def _call(node: Node, first: str) -> str:
    """The expression of an operation; what it makes anew lies on the device of the argument `first`."""
    target: Any = node.target
    arguments = [_text(each) for each in node.args]
    if target in INFIX:
        return f" {INFIX[target]} ".join(arguments)
    if target is operator.getitem:
        return f"{arguments[0]}[{arguments[1]}]"
    if target is torch.ops.aten.sym_size.int:
        return f"{arguments[0]}.size({arguments[1]})"
    if target is torch.ops.aten.sym_numel.default:
        return f"{arguments[0]}.numel()"
    space, name = _split(target)
    if target in OPTIONAL_INDICES:
        arguments[1] = f"torch.jit.annotate(List[Optional[Tensor]], {arguments[1]})"
    options = {key: _text(value) for key, value in node.kwargs.items() if key not in DROPPED and value is not None}
    if "device" in options:
        options["device"] = f"{first}.device"
    arguments += [f"{key}={value}" for key, value in options.items()]
    return f"torch.ops.{space}.{name}({', '.join(arguments)})"


def _split(target: Any) -> tuple[str, str]:
    if not isinstance(target, torch._ops.OpOverload):
        raise InputError(f"TorchScript has no operation {target}")
    space, name = target._schema.name.split("::")
    return space, name


def _text(value: Any) -> str:
    """An argument as it is written; numbers keep every digit."""
    if isinstance(value, Node):
        return value.name
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_text(each) for each in value) + "]"
    if isinstance(value, float):
        return f'float("{value!r}")' if value != value or value in (float("inf"), -float("inf")) else repr(value)
    if isinstance(value, torch.dtype | torch.memory_format | torch.layout):
        return str(value)
    if isinstance(value, torch.device):
        return f'torch.device("{value}")'
    return repr(value)
