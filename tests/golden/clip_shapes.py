#!/usr/bin/env python3
"""The full tables of names and shapes of the published dual encoders, without a value: classes of transformers and open_clip on
torch's meta device.

    python tests/golden/clip_shapes.py        writes tests/golden/clip_shapes.json

Sizes: OpenAI's and OpenCLIP's from open_clip's own model configurations (ViT-B-32, ViT-B-16, ViT-L-14, ViT-H-14), in OpenAI's
layout; TinyCLIP's from its repository (`TinyCLIP-ViT-8M-16-Text-3M.json`), as `CLIPModel`; BLIP's
from its class's defaults and `image_text_hidden_size` 256, `image_size` 384, `vocab_size` 30524, as its `config.json` says.
Left out, as this program does: buffers, BLIP's cross-attention and matching head.
"""

import json
import pathlib

import open_clip
import torch
from transformers import BlipConfig, BlipForImageTextRetrieval, CLIPConfig, CLIPModel

HERE = pathlib.Path(__file__).parent
SKIPPED = ["position_ids", "attn_mask", "crossattention", "itm_head"]


def shapes(model):
    return {name: list(p.shape) for name, p in model.state_dict().items() if not any(part in name for part in SKIPPED)}


def clip_model(patch, vision, text, projection):
    side = lambda width, layers, heads: dict(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads)
    return CLIPModel(CLIPConfig(
        vision_config=side(*vision) | dict(patch_size=patch, image_size=224),
        text_config=side(*text) | dict(vocab_size=49408, max_position_embeddings=77),
        projection_dim=projection,
    ))


def main():
    out = {}
    with torch.device("meta"):
        out["tinyclip-8m"] = clip_model(16, (256, 10, 4), (256, 3, 4), 512)
        for preset, name in [("clip-vit-b-32", "ViT-B-32"), ("clip-vit-b-16", "ViT-B-16"), ("clip-vit-l-14", "ViT-L-14"), ("openclip-vit-h-14", "ViT-H-14")]:
            config = open_clip.get_model_config(name)
            out[preset] = open_clip.model.CLIP(**config)
        blip = BlipConfig(image_text_hidden_size=256)
        blip.vision_config.image_size = 384
        out["blip-vit-b-16"] = BlipForImageTextRetrieval(blip)
    table = {preset: {"parameters": sum(p.numel() for p in model.parameters()), "shapes": shapes(model)} for preset, model in out.items()}
    for preset, found in table.items():
        print(preset, len(found["shapes"]), f"{found['parameters']:,}")
    body = ",\n".join(f"{json.dumps(preset)}: {json.dumps(found, separators=(',', ':'))}" for preset, found in table.items())
    (HERE / "clip_shapes.json").write_text("{" + body + "}\n")


if __name__ == "__main__":
    main()
