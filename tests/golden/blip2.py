#!/usr/bin/env python3
"""Golden values of BLIP-2's vision towers and image-only Q-Former, from Hugging Face with random weights at small width.

    python tests/golden/blip2.py [--out tests/golden/blip2.safetensors]

The committed file was made with transformers 4.33.3 and torch 2.15.0 on a CPU.

What comes from where
- `vision_model.*`: `Blip2VisionModel`, EVA ViT-g's blocks at its full depth of 39, narrow. `out.eva.<k>`: what enters block
  k, and (k = 39) what leaves the last one; `out.eva.normed`: after `post_layernorm`, which is LAVIS's `ln_vision`. That
  norm runs with epsilon 1e-5 here, as LAVIS's does; Hugging Face's own has 1e-6.
- `clip.vision_model.*`: `CLIPVisionModel` (QuickGELU) at BLIP-2's depth of 23. `out.clip.<k>` alike, from after the norm
  before the first block; CLIP's last norm takes no part.
- `qformer.*`, `query_tokens`: `Blip2QFormerModel` on `out.eva.normed`, queries only. `out.qformer.<k>`: k = 0 after its layer
  norm, k = i + 1 the output of layer i.

The models run in float64, so that the values are exact to float32 precision; what float32 alone costs is printed.
Weights are drawn from a fixed seed (normal, std 0.2, and 0.08 where a residual branch ends, so that 39 of them stay of the
order of one; norm weights 1 + 0.1 normal), and rounded to float16, which the file
holds exactly. The key part of `qkv.bias` is random too, not zero: it must not change anything.
"""

import argparse
import pathlib

import numpy as np
import torch
from transformers import Blip2QFormerConfig, Blip2QFormerModel, Blip2VisionConfig, Blip2VisionModel
from transformers import CLIPVisionConfig, CLIPVisionModel

from qformer import write_safetensors

VISION = dict(hidden_size=16, intermediate_size=20, num_attention_heads=4, image_size=12, patch_size=4)
EVA_LAYERS, CLIP_LAYERS, QUERIES, BATCH = 39, 23, 5, 2


def randomise(modules, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in ((n, p) for module in modules for n, p in module.named_parameters()):
            noise = torch.randn(p.shape, generator=generator)
            is_norm = "norm" in name and name.endswith("weight")
            ends_branch = any(part in name for part in ["projection.weight", "out_proj.weight", "fc2.weight"])
            p.copy_((1.0 + 0.1 * noise if is_norm else (0.08 if ends_branch else 0.2) * noise).half())


def run(models, queries, pixels, dtype):
    eva, clip, qformer = (m.to(dtype).eval() for m in models)
    with torch.no_grad():
        result = {}
        states = eva(pixels.to(dtype), output_hidden_states=True).hidden_states
        result.update({f"eva.{k}": x for k, x in enumerate(states)})
        result["eva.normed"] = eva.post_layernorm(states[-1])
        states = clip(pixels.to(dtype), output_hidden_states=True).hidden_states
        result.update({f"clip.{k}": x for k, x in enumerate(states)})
        found = qformer(
            query_embeds=queries.to(dtype).expand(BATCH, -1, -1),
            encoder_hidden_states=result["eva.normed"],
            output_hidden_states=True,
        )
        result.update({f"qformer.{k}": x for k, x in enumerate(found.hidden_states)})
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".safetensors"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    eva = Blip2VisionModel(Blip2VisionConfig(**VISION, num_hidden_layers=EVA_LAYERS, hidden_act="gelu", layer_norm_eps=1e-6))
    eva.post_layernorm.eps = 1e-5
    clip = CLIPVisionModel(CLIPVisionConfig(**VISION, num_hidden_layers=CLIP_LAYERS, hidden_act="quick_gelu"))
    qformer = Blip2QFormerModel(
        Blip2QFormerConfig(
            hidden_size=24,
            num_hidden_layers=4,
            num_attention_heads=4,
            intermediate_size=32,
            cross_attention_frequency=2,
            encoder_hidden_size=VISION["hidden_size"],
        )
    )
    models = [eva, clip, qformer]
    randomise(models, seed=31)
    generator = torch.Generator().manual_seed(32)
    size = VISION["image_size"]
    pixels = torch.randn([BATCH, 3, size, size], generator=generator).half()
    queries = (0.2 * torch.randn([1, QUERIES, 24], generator=generator)).half()

    tensors = {"input.pixels": pixels.numpy(), "query_tokens": queries.numpy()}
    for prefix, model in [("", eva), ("clip.", clip), ("qformer.", qformer)]:
        for name, p in model.named_parameters():
            name = name if "vision_model" in name or prefix == "qformer." else f"vision_model.{name}"
            # CLIP's last norm is no part of BLIP-2.
            if not (prefix == "clip." and "post_layernorm" in name):
                tensors[prefix + name] = p.detach().half().numpy()
    single = run(models, queries, pixels, torch.float32)
    exact = run(models, queries, pixels, torch.float64)
    for kind in ["eva", "clip", "qformer"]:
        names = [n for n in exact if n.startswith(kind)]
        worst = max((exact[n] - single[n].double()).abs().max().item() for n in names)
        largest = max(exact[n].abs().max().item() for n in names)
        print(f"{kind}: largest value {largest:.2f}, float32 against float64 {worst:.1e}")
    for name, value in exact.items():
        tensors["out." + name] = value.float().numpy().astype(np.float32)
    write_safetensors(args.out, tensors)
    print(f"{args.out}: {len(tensors)} tensors, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
