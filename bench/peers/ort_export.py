#!/usr/bin/env python3
"""Exports the peers' graphs to ONNX, for onnxruntime-web beside this project's wasm, and times onnxruntime natively.

    python bench/peers/ort_export.py --out DIR [--config model/configs/web-s.json] [--threads 2]

Writes DIR/encode.onnx (`pixels` -> `tokens`), DIR/fuse.onnx and DIR/fuse12.onnx (`ids`, `mask`, `image` -> `query`, for L
tokens and for the twelve of a modifier of ten words) and DIR/shapes.json.
Needs torch, onnx, onnxscript and onnxruntime from PyPI. Each exported graph is checked against torch before it is timed.
"""

import argparse
import json
import pathlib

import onnxruntime
import torch
from torch import nn

from peer_model import PRESETS, EfficientNetLite0, QFormer, Shape
from torch_peer import make_batch, measure


class Call(nn.Module):
    """Exposes one method of a module as its forward pass."""

    def __init__(self, module, method):
        super().__init__()
        self.module, self.method = module, method

    def forward(self, *inputs):
        return getattr(self.module, self.method)(*inputs)


def export(path, module, inputs, names, output):
    module.eval()
    torch.onnx.export(
        module, tuple(inputs), str(path), input_names=names, output_names=[output], opset_version=18, dynamo=True,
        external_data=False, verbose=False,
    )  # fmt: skip
    options = onnxruntime.SessionOptions()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {name: value.numpy() for name, value in zip(names, inputs)}
    with torch.inference_mode():
        expected = module(*inputs)
    difference = (torch.from_numpy(session.run(None, feeds)[0]) - expected).abs().max() / expected.abs().max()
    print(f"{path}: {path.stat().st_size} bytes, largest relative difference from torch {difference.item():.1e}")
    assert difference < 1e-4
    return feeds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--config", default=PRESETS / "web-s.json")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    shape = Shape.from_config(args.config)
    encoder, model = EfficientNetLite0().eval().folded(), QFormer(shape).eval()
    ids, mask, image = make_batch(shape, 1)[:3]
    names, short = ["ids", "mask", "image"], [ids[:, :12], mask[:, :12], image]
    feeds = {
        "encode": export(args.out / "encode.onnx", encoder, [torch.randn(1, 3, 224, 224)], ["pixels"], "tokens"),
        "fuse": export(args.out / "fuse.onnx", Call(model, "fuse"), [ids, mask, image], names, "query"),
        "fuse12": export(args.out / "fuse12.onnx", Call(model, "fuse"), short, names, "query"),
    }
    kinds = {"float32": "float32", "int64": "int64"}
    shapes = {
        graph: {name: {"type": kinds[str(value.dtype)], "dims": list(value.shape)} for name, value in inputs.items()}
        for graph, inputs in feeds.items()
    }
    for graph in ["fuse", "fuse12"]:
        shapes[graph]["ids"]["below"] = shape.vocab
    (args.out / "shapes.json").write_text(json.dumps(shapes, indent=1) + "\n")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    for graph, inputs in feeds.items():
        session = onnxruntime.InferenceSession(str(args.out / f"{graph}.onnx"), options)
        dims = " ".join("x".join(map(str, value.shape)) for value in inputs.values())
        peer = f"onnxruntime {onnxruntime.__version__}"
        measure(graph, peer, dims, args.threads, lambda: session.run(None, inputs), args.seconds)


if __name__ == "__main__":
    main()
