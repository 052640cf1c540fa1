"""A network of torch as a graph of OpenVINO, layer by layer, without running it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

__all__ = ["Ranges", "UnknownLayerError", "build_graph", "convolutions"]

# Least and largest value that enters a convolution, by its name in the network.
Ranges = Mapping[str, tuple[float, float]]

_CONVOLUTIONS = (nn.Conv3d, nn.ConvTranspose3d)
_ADDITIONS = (operator.add, operator.iadd, torch.add)
_LEVELS = 256


class UnknownLayerError(ValueError):
    """A network has a layer that has no counterpart here."""


def convolutions(network: nn.Module) -> dict[str, nn.Module]:
    """Convolutions of a network by name."""
    return {name: m for name, m in network.named_modules() if isinstance(m, _CONVOLUTIONS)}


def build_graph(
    network: nn.Module, openvino: ModuleType, shape: tuple[int, ...], ranges: Ranges | None = None
) -> Any:
    """Graph that computes what a network computes.

    Parameters
    ----------
    network : torch.nn.Module
        On the CPU, in evaluation mode, made of convolutions, normalisations, sums and concatenations.
    openvino : module
        The imported package.
    shape : tuple of int
        (n, channels, z, y, x) of the input.
    ranges : mapping, optional
        Convolutions to compute in 8-bit integers; all others are in floating point.

    Returns
    -------
    openvino.Model
        From float32 of `shape` to float32 logits.

    Raises
    ------
    UnknownLayerError
        If a layer has no counterpart.
    """
    try:
        traced = torch.fx.symbolic_trace(network)
    except Exception as error:  # any Python in a network can refuse to be traced
        raise UnknownLayerError(f"the network cannot be traced: {error}") from error
    return _Builder(traced, openvino.opset13, ranges or {}).build(openvino, shape)


class _Builder:
    """Walks a traced network; one method for each kind of layer."""

    def __init__(self, traced: torch.fx.GraphModule, ops: Any, ranges: Ranges) -> None:
        self._traced = traced
        self._ops = ops
        self._ranges = ranges
        self._modules = dict(traced.named_modules())
        self._values: dict[torch.fx.Node, Any] = {}

    def build(self, openvino: ModuleType, shape: tuple[int, ...]) -> Any:
        inputs = []
        for node in self._traced.graph.nodes:
            match node.op:
                case "placeholder":
                    inputs.append(self._ops.parameter(shape, np.float32))
                    self._values[node] = inputs[-1]
                case "call_module":
                    self._values[node] = self._layer(str(node.target), self._value(node.args[0]))
                case "call_function":
                    self._values[node] = self._function(node)
                case "output":
                    return openvino.Model([self._value(node.args[0])], inputs, "network")
                case _:
                    raise UnknownLayerError(f"{node.op} {node.target}")
        raise UnknownLayerError("the network returns nothing")

    def _value(self, node: Any) -> Any:
        if not isinstance(node, torch.fx.Node):
            raise UnknownLayerError(f"{node!r} in place of a layer's output")
        return self._values[node]

    def _function(self, node: torch.fx.Node) -> Any:
        if node.target in _ADDITIONS and not node.kwargs:
            first, second = node.args
            return self._ops.add(self._value(first), self._value(second))
        if node.target is torch.cat:
            parts, axis = node.args[0], node.args[1] if len(node.args) > 1 else node.kwargs["dim"]
            return self._ops.concat([self._value(part) for part in parts], axis)  # type: ignore[union-attr]
        raise UnknownLayerError(f"the function {node.target}")

    def _layer(self, name: str, value: Any) -> Any:
        module = self._modules[name]
        makers: dict[type, Callable[[str, Any, Any], Any]] = {
            nn.Conv3d: self._convolution,
            nn.ConvTranspose3d: self._transposed,
            nn.InstanceNorm3d: self._normalisation,
            nn.LeakyReLU: lambda _n, m, v: self._ops.prelu(v, _scalar(m.negative_slope)),
            nn.ReLU: lambda _n, _m, v: self._ops.relu(v),
            nn.AvgPool3d: self._mean,
        }
        if isinstance(module, nn.Identity | nn.Dropout | nn.Dropout3d):
            return value
        maker = makers.get(type(module))
        if maker is None:
            raise UnknownLayerError(f"{name}: {type(module).__name__}")
        return maker(name, module, value)

    def _convolution(self, name: str, m: nn.Conv3d, value: Any) -> Any:
        if m.padding_mode != "zeros" or isinstance(m.padding, str) or m.groups != 1:
            raise UnknownLayerError(f"{name}: {m}")
        weights = _array(m.weight)
        filters, value = self._rounded(name, weights, 0, value)
        padding = list(m.padding)
        out = self._ops.convolution(
            value, filters, list(m.stride), padding, padding, list(m.dilation)
        )
        return self._shifted(out, m.bias)

    def _transposed(self, name: str, m: nn.ConvTranspose3d, value: Any) -> Any:
        if m.groups != 1 or any(m.padding) or any(m.output_padding):
            raise UnknownLayerError(f"{name}: {m}")
        filters, value = self._rounded(name, _array(m.weight), 1, value)
        out = self._ops.convolution_backprop_data(
            value,
            filters,
            list(m.stride),
            pads_begin=[0, 0, 0],
            pads_end=[0, 0, 0],
            dilations=list(m.dilation),
        )
        return self._shifted(out, m.bias)

    def _normalisation(self, name: str, m: Any, value: Any) -> Any:
        if m.track_running_stats:
            raise UnknownLayerError(f"{name}: {m}")
        axes = np.array([2, 3, 4], np.int64)
        out = self._ops.mvn(value, axes, True, m.eps, "inside_sqrt")
        if m.weight is None:
            return out
        scaled = self._ops.multiply(out, self._ops.constant(_per_channel(m.weight)))
        return self._shifted(scaled, m.bias)

    def _mean(self, name: str, m: nn.AvgPool3d, value: Any) -> Any:
        kernel, stride, padding = (_three(n) for n in (m.kernel_size, m.stride, m.padding))
        if any(padding) or m.ceil_mode or m.divisor_override:
            raise UnknownLayerError(f"{name}: {m}")
        return self._ops.avg_pool(value, stride, padding, padding, kernel, exclude_pad=False)

    def _shifted(self, value: Any, bias: torch.Tensor | None) -> Any:
        if bias is None:
            return value
        return self._ops.add(value, self._ops.constant(_per_channel(bias)))

    def _rounded(
        self, name: str, weights: NDArray[np.float32], axis: int, value: Any
    ) -> tuple[Any, Any]:
        """Weights and input of a convolution, rounded to 8 bits where its range is known."""
        filters = self._ops.constant(weights)
        if name not in self._ranges:
            return filters, value
        others = tuple(i for i in range(weights.ndim) if i != axis)
        largest = np.maximum(np.abs(weights).max(axis=others, keepdims=True), 1e-8)
        # One level less, so that 0 stays 0 and both signs reach equally far.
        filters = self._ops.fake_quantize(
            filters, -largest, largest, -largest, largest, _LEVELS - 1
        )
        low, high = (_scalar(v) for v in _with_zero(*self._ranges[name]))
        return filters, self._ops.fake_quantize(value, low, high, low, high, _LEVELS)


def _with_zero(low: float, high: float) -> tuple[float, float]:
    """Range moved so that 0, what lies outside the image, is one of its levels."""
    low, high = min(low, 0.0), max(high, 1e-6)
    step = (high - low) / (_LEVELS - 1)
    low = -step * round(-low / step)
    return low, low + step * (_LEVELS - 1)


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().contiguous().numpy()
    return array


def _scalar(value: float) -> NDArray[np.float32]:
    return np.array(value, np.float32)


def _per_channel(tensor: torch.Tensor) -> NDArray[np.float32]:
    return _array(tensor).reshape(1, -1, 1, 1, 1)


def _three(value: Any) -> list[int]:
    return [value] * 3 if isinstance(value, int) else list(value)
