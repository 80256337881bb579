#!/usr/bin/env python3
"""One small CLIP and one small BLIP in the forms in which checkpoints are published.

    python tests/golden/clip_checkpoints.py --conversions unpacked/transformers [--out tests/golden/clip]

`--conversions`: transformers' folder from the wheel of version 4.33.3, whose conversion scripts later versions left out. The committed
files were made with torch 2.15.0, transformers 5.24.0, open_clip 3.3.0 and safetensors 0.8.0. The CLIP is open_clip's class; element i
of the parameter that it calls `name` is ((7 i + 13 len(name)) mod 255 - 127) / 64, which f16 holds exactly. The conversion
scripts make transformers' forms of it. The BLIP has Salesforce's names.

| file | form |
|---|---|
| `openai.pt` | a state dict, f16, with the whole numbers that OpenAI's archives hold beside it |
| `scripted.pt` | a TorchScript archive, as OpenAI publishes its weights |
| `huggingface/` | `CLIPModel`: f32 safetensors, `config.json`, `preprocessor_config.json`, `merges.txt`, `vocab.json` |
| `bin/` | the same as f16 `pytorch_model.bin`, with `tokenizer.json` |
| `open_clip/` | `CustomTextCLIP`, `text.` prefixes: f32 `open_clip_model.safetensors`, `open_clip_config.json` |
| `blip.pth` | `BLIP_Retrieval`: under "model", with momentum encoders, queues and a matching head, which are left |
| `blip_huggingface/` | `BlipForImageTextRetrieval`: f32 safetensors and `config.json` |
"""

import argparse
import importlib.util
import json
import pathlib
import sys
import types

import open_clip
import torch
from safetensors.torch import save_file
from transformers import BlipConfig, BlipForImageTextRetrieval, CLIPConfig, CLIPModel

WIDTH, HEADS, LAYERS, SIZE, PATCH, P, LENGTH = 8, 2, 2, 8, 4, 6, 9
MERGES = ["r e", "re d</w>"]
WORDS = 512 + len(MERGES) + 2


def fill(name, p):
    i = torch.arange(p.numel())
    return (((7 * i + 13 * len(name)) % 255 - 127) / 64).reshape(p.shape)


def conversion(folder, name):
    """A conversion script as a module; what it imports of other repositories is stubbed, as no function here uses it."""
    for missing, attributes in [("clip", ["load"]), ("models", []), ("models.blip", ["blip_decoder"]), ("models.blip_itm", ["blip_itm"]), ("models.blip_vqa", ["blip_vqa"])]:
        module = sys.modules.setdefault(missing, types.ModuleType(missing))
        for attribute in attributes:
            setattr(module, attribute, None)
    path = folder / f"models/{name}/convert_{name}_original_pytorch_to_hf.py"
    spec = importlib.util.spec_from_file_location(f"convert_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tokenizer_files(folder, names):
    symbols = open_clip.tokenizer.bytes_to_unicode().values()
    words = [*symbols, *(s + "</w>" for s in symbols), *(m.replace(" ", "") for m in MERGES), "<|startoftext|>", "<|endoftext|>"]
    numbers = {word: i for i, word in enumerate(words)}
    if "merges.txt" in names:
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n", encoding="utf-8")
        (folder / "vocab.json").write_text(json.dumps(numbers, ensure_ascii=False), encoding="utf-8")
    else:
        model = {"type": "BPE", "vocab": numbers, "merges": MERGES}
        (folder / "tokenizer.json").write_text(json.dumps({"model": model}, ensure_ascii=False), encoding="utf-8")


def plain(state):
    return {name: value.detach().clone().contiguous() for name, value in state.items()}


def clip(out, conversions):
    vision = dict(layers=LAYERS, width=WIDTH, head_width=WIDTH // HEADS, mlp_ratio=1.5, patch_size=PATCH, image_size=SIZE)
    text = dict(context_length=LENGTH, vocab_size=WORDS, width=WIDTH, heads=HEADS, layers=LAYERS, mlp_ratio=1.5)
    model = open_clip.model.CLIP(P, vision, text, quick_gelu=True)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(fill(name, p))
    state = plain(model.state_dict())
    numbers = {"input_resolution": torch.tensor(SIZE), "context_length": torch.tensor(LENGTH), "vocab_size": torch.tensor(WORDS)}
    torch.save({name: value.half() for name, value in state.items()} | numbers, out / "openai.pt")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), out / "scripted.pt")

    side = dict(hidden_size=WIDTH, intermediate_size=12, num_hidden_layers=LAYERS, num_attention_heads=HEADS, hidden_act="quick_gelu")
    config = CLIPConfig(
        vision_config=side | dict(patch_size=PATCH, image_size=SIZE),
        text_config=side | dict(vocab_size=WORDS, max_position_embeddings=LENGTH),
        projection_dim=P,
    )
    converted = CLIPModel(config)
    scripts = conversion(conversions, "clip")
    with torch.no_grad():
        scripts.copy_text_model_and_projection(converted, model)
        scripts.copy_vison_model_and_projection(converted, model)
        converted.logit_scale = model.logit_scale
    described = config.to_dict() | {"architectures": ["CLIPModel"]}
    for name in ["huggingface", "bin"]:
        folder = out / name
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(described, indent=1))
        tokenizer_files(folder, ["merges.txt"] if name == "huggingface" else [])
    save_file(plain(converted.state_dict()), out / "huggingface/model.safetensors", {"format": "pt"})
    half = {name: value.half() for name, value in plain(converted.state_dict()).items()}
    torch.save(half, out / "bin/pytorch_model.bin")
    processor = dict(do_resize=True, size={"shortest_edge": SIZE}, resample=3, do_center_crop=True, crop_size={"height": SIZE, "width": SIZE}, do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[0.5, 0.25, 0.125], image_std=[1, 2, 4])
    (out / "huggingface/preprocessor_config.json").write_text(json.dumps(processor, indent=1))

    folder = out / "open_clip"
    folder.mkdir(exist_ok=True)
    custom = open_clip.model.CustomTextCLIP(P, vision, text, quick_gelu=True)
    custom.load_state_dict(open_clip.model.convert_to_custom_text_state_dict(dict(state)))
    save_file(plain(custom.state_dict()), folder / "open_clip_model.safetensors")
    about = {"model_cfg": {"embed_dim": P, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}}
    (folder / "open_clip_config.json").write_text(json.dumps(about, indent=1))
    tokenizer_files(folder, ["merges.txt"])


def blip(out, conversions):
    side = dict(hidden_size=WIDTH, intermediate_size=12, num_hidden_layers=LAYERS, num_attention_heads=HEADS)
    config = BlipConfig(
        vision_config=side | dict(patch_size=PATCH, image_size=SIZE),
        text_config=side | dict(vocab_size=20, max_position_embeddings=16, encoder_hidden_size=WIDTH),
        image_text_hidden_size=P,
    )
    model = BlipForImageTextRetrieval(config)
    scripts = conversion(conversions, "blip")
    # Salesforce's names are those that the script renames to transformers'.
    back = {
        "vision_model.embeddings.class_embedding": "visual_encoder.cls_token",
        "vision_model.embeddings.position_embedding": "visual_encoder.pos_embed",
        "vision_model.embeddings.patch_embedding": "visual_encoder.patch_embed.proj",
        "vision_model.post_layernorm": "visual_encoder.norm",
        "vision_model.encoder.layers": "visual_encoder.blocks",
        "self_attn.projection": "attn.proj",
        "self_attn": "attn",
        "layer_norm": "norm",
    }
    state = {}
    for name, p in model.state_dict().items():
        theirs = name
        for ours, original in back.items():
            theirs = theirs.replace(ours, original) if theirs.startswith(("vision_model", "visual_encoder")) else theirs
        assert scripts.rename_key(theirs) == name or "position_ids" in name, (theirs, scripts.rename_key(theirs), name)
        state[theirs] = fill(theirs, p)
    with torch.no_grad():
        model.load_state_dict({scripts.rename_key(name): value for name, value in state.items()})
    momentum = {name.replace("_encoder.", "_encoder_m.", 1): value for name, value in state.items() if "_encoder." in name}
    rest = {"temp": torch.tensor(0.0625), "image_queue": torch.zeros(P, 4), "ptr_queue": torch.zeros(1, dtype=torch.long)}
    torch.save({"model": state | momentum | rest}, out / "blip.pth")
    folder = out / "blip_huggingface"
    folder.mkdir(exist_ok=True)
    save_file(plain(model.state_dict()), folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config.to_dict() | {"architectures": ["BlipForImageTextRetrieval"]}, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conversions", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "clip")
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    clip(args.out, args.conversions)
    blip(args.out, args.conversions)


if __name__ == "__main__":
    main()
