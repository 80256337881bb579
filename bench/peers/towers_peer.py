#!/usr/bin/env python3
"""PyTorch CPU timings of a dual encoder's towers, transformers' `CLIPModel` with random weights. One JSON line a measurement.

    python bench/peers/towers_peer.py --config model/configs/tinyclip-8m.json [--threads 2] [--seconds 3]

The lines are those of `trainer/examples/bench_towers.rs`: `vision` from pixels to the projected row, `text` from ids to the
projected row, of 77 tokens and of 12, batch 1 and 8. Attention is PyTorch's fused one (`sdpa`).
"""

import argparse
import json
import pathlib

import torch
import transformers
from transformers import CLIPConfig, CLIPModel

from torch_peer import measure

WORDS = 12


def model_of(config):
    vision, text, p = config["image_encoder"], config["method"]["text_tower"], config["projection"]
    act = lambda part: {"gelu": "gelu", "quick-gelu": "quick_gelu"}[part.get("activation", "quick-gelu")]
    side = lambda part: dict(
        hidden_size=part["width"], intermediate_size=part["intermediate"], num_hidden_layers=part["layers"],
        num_attention_heads=part["heads"], hidden_act=act(part),
    )
    return CLIPModel(CLIPConfig(
        vision_config=side(vision) | dict(patch_size=vision["patch"], image_size=config["preprocess"]["size"]),
        text_config=side(text) | dict(vocab_size=config["text"]["vocabulary"], max_position_embeddings=text["positions"], eos_token_id=config["text"]["vocabulary"] - 1),
        projection_dim=p,
    )).eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=pathlib.Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to repeat each measurement")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = json.loads(args.config.read_text())
    model, name, size = model_of(config), config["name"], config["preprocess"]["size"]
    peer = f"transformers {transformers.__version__}, torch {torch.__version__}"
    with torch.inference_mode():
        for batch in [1, 8]:
            pixels = torch.randn(batch, 3, size, size)
            measure(f"vision {name}", peer, f"{batch}x3x{size}x{size}", args.threads, lambda: model.get_image_features(pixels), args.seconds)
            for length in [config["text"]["length"], WORDS]:
                ids = torch.arange(length).mul(13).add(1).repeat(batch, 1)
                ids[:, -1] = config["text"]["vocabulary"] - 1
                measure(f"text {name}", peer, f"{batch}x{length}", args.threads, lambda: model.get_text_features(ids), args.seconds)


if __name__ == "__main__":
    main()
