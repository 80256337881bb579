#!/usr/bin/env python3
"""Exports a dual encoder's towers, transformers' `CLIPModel` with random weights, to ONNX, for onnxruntime-web beside this
project's wasm.

    python bench/peers/towers_export.py --out DIR [--config model/configs/tinyclip-8m.json]

Writes DIR/vision.onnx (`pixels` -> `row`), DIR/text.onnx and DIR/text12.onnx (`ids` -> `row`, for L tokens and for twelve)
and DIR/shapes.json. Needs torch, transformers, onnx, onnxscript and onnxruntime from PyPI. Each exported graph is checked
against torch.
"""

import argparse
import json
import pathlib

import torch
from torch import nn

from ort_export import export
from peer_model import PRESETS
from towers_peer import WORDS, model_of


class Vision(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.tower, self.projection = model.vision_model, model.visual_projection

    def forward(self, pixels):
        return self.projection(self.tower(pixels).pooler_output)


class Text(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.tower, self.projection = model.text_model, model.text_projection

    def forward(self, ids):
        return self.projection(self.tower(ids).pooler_output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--config", type=pathlib.Path, default=PRESETS / "tinyclip-8m.json")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    config = json.loads(args.config.read_text())
    model, size, vocabulary = model_of(config), config["preprocess"]["size"], config["text"]["vocabulary"]

    def ids(length):
        ids = torch.arange(length).mul(13).add(1).unsqueeze(0)
        ids[:, -1] = vocabulary - 1
        return ids

    text = Text(model)
    feeds = {
        "vision": export(args.out / "vision.onnx", Vision(model), [torch.randn(1, 3, size, size)], ["pixels"], "row"),
        "text": export(args.out / "text.onnx", text, [ids(config["text"]["length"])], ["ids"], "row"),
        "text12": export(args.out / "text12.onnx", text, [ids(WORDS)], ["ids"], "row"),
    }
    shapes = {
        graph: {name: {"type": str(value.dtype), "dims": list(value.shape)} for name, value in inputs.items()}
        for graph, inputs in feeds.items()
    }
    for graph in ["text", "text12"]:
        shapes[graph]["ids"]["below"] = vocabulary
    (args.out / "shapes.json").write_text(json.dumps(shapes, indent=1) + "\n")


if __name__ == "__main__":
    main()
