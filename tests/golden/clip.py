#!/usr/bin/env python3
"""Golden values of dual encoders at full depth and small width, random weights: CLIP and BLIP from transformers, OpenCLIP from
open_clip.

    python tests/golden/clip.py        writes tests/golden/{clip,openclip,blip}.safetensors and clip_images.safetensors

The committed files were made with transformers 5.24.0, open_clip 3.3.0, torchvision 0.29.2, torch 2.15.0 and Pillow 11.3.0 on a CPU.
Pillow 13 resizes some shapes vertically first, which moves single values by one level (see image.py).

What comes from where
- `clip`: `CLIPModel` (QuickGELU) at the depth of ViT-L/14, 24 and 12 layers. `openclip`: open_clip's `CLIP` (exact GELU) at the
  depth of ViT-H/14, 32 and 24 layers. `blip`: `BlipForImageTextRetrieval` at its own depth, 12 and 12, with epsilon 1e-6 in its
  vision tower, as Salesforce's code has. Each file holds the upstream state dict under its own names.
- `out.vision.<k>`, `out.text.<k>`: what enters block k, and what leaves the last one. `out.text.normed`: every position after
  the last norm. `out.image`, `out.words`: projected, not normalised. `out.logits`: texts by images, upstream's own output.
- `clip_images`: what `CLIPImageProcessor` and `BlipImageProcessor` make of two pictures of smooth colours, on their Pillow
  backend, and open_clip's own transform.

The models run in float64, so that the values are exact to float32 precision; what float32 alone costs is printed. Weights are
drawn from a fixed seed (normal, std 0.2, and 0.08 where a residual branch ends; norm weights 1 + 0.1 normal), and rounded to
float16, which the files hold exactly.
"""

import pathlib

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.numpy import save_file
from transformers import BlipConfig, BlipForImageTextRetrieval, CLIPConfig, CLIPModel
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

HERE = pathlib.Path(__file__).parent
WIDTH, HEADS, INNER, SIZE, PATCH, BATCH, WORDS, P, LENGTH = 16, 4, 20, 12, 4, 2, 48, 12, 9
# Begin 46, end 47; the second text is shorter.
IDS = [[46, 5, 17, 9, 30, 2, 47, 0, 0], [46, 11, 8, 47, 0, 0, 0, 0, 0]]


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    ends = ["out_proj.weight", "fc2.weight", "c_proj.weight", "projection.weight", "output.dense.weight"]
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            is_norm = p.dim() == 1 and name.endswith("weight")
            branch = any(name.endswith(end) for end in ends) and "visual_projection" not in name and "text_projection" not in name
            if name == "logit_scale":
                p.fill_(2.5)
            else:
                p.copy_((1.0 + 0.1 * noise if is_norm else (0.08 if branch else 0.2) * noise).half())


def watched(blocks):
    """Inputs of the first block and outputs of all, as batch-first tensors, filled by the next forward pass."""
    seen = []
    first = lambda x: x[0] if isinstance(x, tuple) else x
    handles = [blocks[0].register_forward_pre_hook(lambda m, args, kwargs: seen.append(first(args) if args else kwargs["hidden_states"]), with_kwargs=True)]
    handles += [block.register_forward_hook(lambda m, i, out: seen.append(first(out))) for block in blocks]
    return seen, handles


def run(kind, model, pixels, dtype):
    model = model.to(dtype).eval()
    pixels, ids = pixels.to(dtype), torch.tensor(IDS)
    mask = (ids != 0).long()
    if kind == "openclip":
        towers = [model.visual.transformer.resblocks, model.transformer.resblocks]
    elif kind == "clip":
        towers = [model.vision_model.encoder.layers, model.text_model.encoder.layers]
    else:
        towers = [model.vision_model.encoder.layers, model.text_encoder.encoder.layer]
    (vision, a), (text, b) = watched(towers[0]), watched(towers[1])
    out = {}
    with torch.no_grad():
        if kind == "openclip":
            out["image"], out["words"] = model.encode_image(pixels), model.encode_text(ids)
            normed = model.ln_final(text[-1])
            image, words = (torch.nn.functional.normalize(out[name], dim=-1) for name in ["image", "words"])
            out["logits"] = (model.logit_scale.exp() * image @ words.T).T
        elif kind == "clip":
            found = model(input_ids=ids, pixel_values=pixels, attention_mask=mask)
            out["logits"] = found.logits_per_text
            normed = found.text_model_output.last_hidden_state
            out["image"] = found.vision_model_output.pooler_output
            out["words"] = found.text_model_output.pooler_output
        else:
            found = model(input_ids=ids, pixel_values=pixels, attention_mask=mask, use_itm_head=False)
            out["logits"] = found.itm_score.T
            out["tokens"] = found.last_hidden_state
            normed = found.question_embeds
            out["image"] = model.vision_proj(found.last_hidden_state[:, 0])
            out["words"] = model.text_proj(normed[:, 0])
    for name, states in [("vision", vision), ("text", text)]:
        out.update({f"{name}.{k}": x for k, x in enumerate(states[: len(towers[name == "text"]) + 1])})
    out["text.normed"] = normed
    for handle in a + b:
        handle.remove()
    return out


def models():
    vision = dict(hidden_size=WIDTH, intermediate_size=INNER, num_attention_heads=HEADS, image_size=SIZE, patch_size=PATCH)
    text = dict(hidden_size=WIDTH, intermediate_size=INNER, num_attention_heads=HEADS, vocab_size=WORDS)
    yield "clip", CLIPModel(CLIPConfig(
        vision_config=vision | dict(num_hidden_layers=24, hidden_act="quick_gelu"),
        text_config=text | dict(num_hidden_layers=12, hidden_act="quick_gelu", max_position_embeddings=LENGTH, eos_token_id=47, bos_token_id=46, pad_token_id=0),
        projection_dim=P,
    ))
    yield "openclip", open_clip.model.CLIP(
        P,
        dict(layers=32, width=WIDTH, head_width=WIDTH // HEADS, mlp_ratio=INNER / WIDTH, patch_size=PATCH, image_size=SIZE),
        dict(context_length=LENGTH, vocab_size=WORDS, width=WIDTH, heads=HEADS, layers=24, mlp_ratio=INNER / WIDTH),
    )
    yield "blip", BlipForImageTextRetrieval(BlipConfig(
        vision_config=vision | dict(num_hidden_layers=12, layer_norm_eps=1e-6),
        text_config=text | dict(num_hidden_layers=12, max_position_embeddings=16, encoder_hidden_size=WIDTH, pad_token_id=0),
        image_text_hidden_size=P,
    ))


def towers():
    generator = torch.Generator().manual_seed(42)
    pixels = torch.randn([BATCH, 3, SIZE, SIZE], generator=generator).half()
    for seed, (kind, model) in enumerate(models(), start=43):
        randomise(model, seed)
        skipped = ["position_ids", "attn_mask", "crossattention", "itm_head"]
        tensors = {name: p.detach().half().numpy() for name, p in model.state_dict().items() if not any(part in name for part in skipped)}
        single, exact = (run(kind, model, pixels, dtype) for dtype in [torch.float32, torch.float64])
        worst = max((exact[n] - single[n].double()).abs().max().item() for n in exact)
        largest = max(x.abs().max().item() for x in exact.values())
        print(f"{kind}: largest value {largest:.2f}, float32 against float64 {worst:.1e}")
        tensors["input.pixels"] = pixels.numpy()
        tensors["input.ids"] = np.array(IDS, dtype=np.int32)
        tensors.update({"out." + name: value.float().numpy().astype(np.float32) for name, value in exact.items()})
        path = HERE / f"{kind}.safetensors"
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, path)
        print(f"{path}: {len(tensors)} tensors, {path.stat().st_size} bytes")


def picture(width, height):
    """Smooth colours, the same as the Rust test makes: all in whole numbers."""
    rows = [[[(x * 255) // width, (y * 255) // height, (x * y * 7 // 16) % 256] for x in range(width)] for y in range(height)]
    return Image.fromarray(np.array(rows, dtype=np.uint8))


def images():
    clip = CLIPImageProcessorPil(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24})
    larger = CLIPImageProcessorPil(size={"shortest_edge": 30}, crop_size={"height": 24, "width": 24})
    blip = BlipImageProcessorPil(size={"height": 24, "width": 24})
    own = open_clip.transform.image_transform(24, is_train=False)
    out = {}
    for width, height in [(61, 45), (40, 57)]:
        image = picture(width, height)
        for name, processor in [("clip", clip), ("larger", larger), ("blip", blip)]:
            out[f"out.{name}.{width}"] = np.asarray(processor(image, return_tensors="np")["pixel_values"][0], dtype=np.float32)
        out[f"out.own.{width}"] = own(image).numpy()
    save_file(out, HERE / "clip_images.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    towers()
    images()
