#!/usr/bin/env python3
"""One small BLIP-2 in the forms in which checkpoints are published.

    python tests/golden/checkpoints.py [--out tests/golden/checkpoints]

The committed files were made with torch 2.15.0 and safetensors 0.8.0. Names and nesting are those of LAVIS
(`blip2_qformer.py`, `eva_vit.py`), of SPRC's and MTST_PTHA's `utils.save_model`, and of Hugging Face's
`Blip2ForImageTextRetrieval`; every form holds the same values, which f16 and bf16 hold exactly: element i of the tensor
that LAVIS calls `name` is ((7 i + 13 len(name)) mod 255 - 127) / 64.

| file | form |
|---|---|
| `blip2_pretrained.pth` | LAVIS without the image encoder, under "model", f32, with a language-model head that is left |
| `eva_vit_g.pth` | the image encoder alone, f16, in the layout before torch 1.6, with a block more than is used and a head |
| `sprc.pt` | `{'epoch', 'Blip2QformerCirAlignPrompt'}`, everything, linear maps of the encoder f16 and the rest f32 |
| `huggingface/` | two bf16 shards and their index; fused `qkv.bias` |
"""

import argparse
import collections
import json
import pathlib

import torch
from safetensors.torch import save_file

C, D, INNER, LAYERS, N, P, VOCABULARY, POSITIONS = 8, 8, 12, 2, 2, 4, 20, 16
# The image encoder's own depth, tokens, patch and feed-forward width.
DEPTH, TOKENS, PATCH, MLP = 2, 5, 4, 12


def encoder_shapes(layers):
    shapes = {
        "cls_token": [1, 1, C],
        "pos_embed": [1, TOKENS, C],
        "patch_embed.proj.weight": [C, 3, PATCH, PATCH],
        "patch_embed.proj.bias": [C],
    }
    for i in range(layers):
        for norm in ["norm1", "norm2"]:
            shapes |= {f"blocks.{i}.{norm}.weight": [C], f"blocks.{i}.{norm}.bias": [C]}
        shapes |= {f"blocks.{i}.attn.q_bias": [C], f"blocks.{i}.attn.v_bias": [C]}
        shapes[f"blocks.{i}.attn.qkv.weight"] = [3 * C, C]
        for name, rows, columns in [("attn.proj", C, C), ("mlp.fc1", MLP, C), ("mlp.fc2", C, MLP)]:
            shapes |= {f"blocks.{i}.{name}.weight": [rows, columns], f"blocks.{i}.{name}.bias": [rows]}
    return shapes


def model_shapes():
    shapes = {"ln_vision.weight": [C], "ln_vision.bias": [C], "temp": [], "query_tokens": [1, N, D]}
    for projection in ["vision_proj", "text_proj"]:
        shapes |= {f"{projection}.weight": [P, D], f"{projection}.bias": [P]}
    bert = "Qformer.bert"
    shapes[f"{bert}.embeddings.word_embeddings.weight"] = [VOCABULARY, D]
    shapes[f"{bert}.embeddings.position_embeddings.weight"] = [POSITIONS, D]
    norms = [f"{bert}.embeddings.LayerNorm"]
    for i in range(LAYERS):
        layer = f"{bert}.encoder.layer.{i}"
        maps = []
        for attention, source in [("attention", D), ("crossattention", C)]:
            if attention == "attention" or i % 2 == 0:
                maps += [(f"{attention}.self.query", D, D), (f"{attention}.output.dense", D, D)]
                maps += [(f"{attention}.self.key", D, source), (f"{attention}.self.value", D, source)]
                norms.append(f"{layer}.{attention}.output.LayerNorm")
        for suffix in ["", "_query"]:
            maps += [(f"intermediate{suffix}.dense", INNER, D), (f"output{suffix}.dense", D, INNER)]
            norms.append(f"{layer}.output{suffix}.LayerNorm")
        for name, rows, columns in maps:
            shapes |= {f"{layer}.{name}.weight": [rows, columns], f"{layer}.{name}.bias": [rows]}
    for norm in norms:
        shapes |= {f"{norm}.weight": [D], f"{norm}.bias": [D]}
    return shapes


def values(name, shape):
    count = torch.Size(shape).numel()
    return (((7 * torch.arange(count) + 13 * len(name)) % 255 - 127).float() / 64).reshape(shape)


def hugging_face(state):
    out = {}
    for name, value in state.items():
        new = name
        for old, other in [
            ("visual_encoder.cls_token", "vision_model.embeddings.class_embedding"),
            ("visual_encoder.pos_embed", "vision_model.embeddings.position_embedding"),
            ("visual_encoder.patch_embed.proj", "vision_model.embeddings.patch_embedding"),
            ("visual_encoder.blocks", "vision_model.encoder.layers"),
            (".attn.proj", ".self_attn.projection"),
            (".attn.qkv", ".self_attn.qkv"),
            (".norm", ".layer_norm"),
            ("ln_vision", "vision_model.post_layernorm"),
            ("Qformer.bert.embeddings.LayerNorm", "qformer.layernorm"),
            ("Qformer.bert.embeddings", "embeddings"),
            ("Qformer.bert", "qformer"),
            ("attention.self", "attention.attention"),
            ("vision_proj.", "vision_projection."),
            ("text_proj.", "text_projection."),
        ]:
            new = new.replace(old, other)
        if name.endswith("q_bias"):
            v = state[name.replace("q_bias", "v_bias")]
            out[new.replace("attn.q_bias", "self_attn.qkv.bias")] = torch.cat([value, torch.zeros_like(value), v])
        elif not name.endswith("v_bias") and name != "temp":
            out[new] = value
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(""))
    out = parser.parse_args().out
    (out / "huggingface").mkdir(parents=True, exist_ok=True)
    encoder = {f"visual_encoder.{k}": values(f"visual_encoder.{k}", s) for k, s in encoder_shapes(DEPTH).items()}
    model = {k: values(k, s) for k, s in model_shapes().items()}

    words = model["Qformer.bert.embeddings.word_embeddings.weight"]
    extra = {"Qformer.bert.embeddings.position_ids": torch.arange(POSITIONS)[None]}
    # LAVIS ties its language-model head to the word embeddings: one storage under two names.
    extra["Qformer.cls.predictions.decoder.weight"] = words
    torch.save({"model": {**model, **extra}}, out / "blip2_pretrained.pth")

    alone = {k: encoder.get(f"visual_encoder.{k}", values(k, s)) for k, s in encoder_shapes(DEPTH + 1).items()}
    alone |= {"norm.weight": values("norm.weight", [C]), "head.weight": values("head.weight", [3, C])}
    torch.save({k: v.half() for k, v in alone.items()}, out / "eva_vit_g.pth", _use_new_zipfile_serialization=False)

    half = {k: v.half() if v.ndim > 1 and "weight" in k else v for k, v in encoder.items()}
    whole = collections.OrderedDict(half | model | {"prompt_tokens": values("prompt_tokens", [1, N, D])})
    torch.save({"epoch": 3, "Blip2QformerCirAlignPrompt": whole}, out / "sprc.pt")

    named = hugging_face(encoder | model) | {"itm_head.weight": values("itm_head.weight", [2, D])}
    named = {k: v.bfloat16().contiguous() for k, v in sorted(named.items())}
    shards, index = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"], {}
    for at, shard in enumerate(shards):
        part = dict(list(named.items())[at::2])
        save_file(part, out / "huggingface" / shard, metadata={"format": "pt"})
        index |= {name: shard for name in part}
    size = sum(v.numel() * 2 for v in named.values())
    text = json.dumps({"metadata": {"total_size": size}, "weight_map": dict(sorted(index.items()))}, indent=1)
    (out / "huggingface" / "model.safetensors.index.json").write_text(text + "\n")
    for path in sorted(p for p in out.rglob("*") if p.is_file()):
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
