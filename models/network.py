"""A policy's layers as an ONNX model, written layer by layer: what runs where there is no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.encoding import FACTORS, FEATURES

Layers = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
"""(out, in) weights and (out,) biases, in order; hyperbolic tangents lie between them."""

OPSET = 17
IR = 8
"""Versions that every onnxruntime of the last years reads."""


def to_onnx(layers: Layers) -> bytes:
    """(pools, features) rows in, (pools, factors) scores out, for any number of pools."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, before = [], [], "rows"
    for nth, (weights, biases) in enumerate(layers):
        last = nth == len(layers) - 1
        constants += [numpy_helper.from_array(weights, f"w{nth}"), numpy_helper.from_array(biases, f"b{nth}")]
        after = "scores" if last else f"h{nth}"
        nodes.append(helper.make_node("Gemm", [before, f"w{nth}", f"b{nth}"], [after], transB=1))
        if not last:
            nodes.append(helper.make_node("Tanh", [after], [f"t{nth}"]))
        before = f"t{nth}"
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["pools", len(FEATURES)])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["pools", len(FACTORS)])
    graph = helper.make_graph(nodes, "pool-factors", [rows], [scores], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString()
    return written
