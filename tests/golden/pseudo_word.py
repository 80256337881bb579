#!/usr/bin/env python3
"""Pic2Word's mapping network, prompt and loss, and ten steps of training, on small random weights.

    python tests/golden/pseudo_word.py --pic2word DIR

The checkout is github.com/google-research/composed_image_retrieval at revision REVISION below, with torch 2.15.0, on a CPU.
Nothing of that code is copied here: it is imported, with the packages that it logs and loads images with stubbed. All is
computed in float64; its LayerNorm, which casts to 32 bits, computes in the precision of its input.

What comes from where
- `out.mapping.*`: `model/model.py`, `IM2TEXT`, on the image embeddings, for one and for four words.
- `out.prompt`: `CLIP.encode_text_img` of "a photo of", which puts the image's word before the end token.
- `out.query`: `CLIP.encode_text_img_retrieval` of "a photo of *, text" for each text, with the word in the place of `*`.
- `out.prompt4`: the same for four words, which the published code does not know: here they stand one after the other in the place of
  the one, before the same transformer, `ln_final` and `text_projection`.
- `pic2word`: `src/trainer.py`, `get_loss_img2text`, and `src/main.py`'s AdamW (weight decay on all but biases), ten steps.
- `hybrid`: 0.3 times the same and 2 times its contrast (`nn.CrossEntropyLoss` in both directions, halved) between composed queries and
  target embeddings, ten steps. HyCIR (which has no public code) sums the two 1 : 1; unequal weights are a stricter test.

Rates are larger than published (`rate`), so that ten steps move the loss. Dropout is 0 while training. A step's batch is everything
there is: the published loss does not depend on the order of a batch. Image embeddings are given: the encoder is frozen.
Weights are stored under this project's names, linear maps as `[d_in, d_out]`.
"""

import argparse
import importlib.util
import json
import pathlib
import subprocess
import sys
import types

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

REVISION = "8c053297c2fae9cd17ddcded48445a4f47208dbd"
HERE = pathlib.Path(__file__).parent
P, WIDTH, HEADS, LAYERS, LENGTH, HIDDEN = 12, 16, 2, 3, 14, 20
IMAGES, UNLABELLED, STEPS = 9, 11, 10
TRAIN = dict(steps=STEPS, rate=3e-3, weight_decay=0.1, beta1=0.9, beta2=0.98, epsilon=1e-6)
WEIGHTS = dict(zs=0.3, triplet=2.0)
# The end mark is the last id, as upstream wants it. `*` is upstream's mark for the place of the image's word.
WORDS = ["[PAD]", "[UNK]", "[CLS]", "a", "photo", "of", "*", ",", "red", "blue", "now", "with", "sleeves", "longer", "[SEP]"]
TEXTS = ["red", "blue with longer sleeves", "now red", "longer", "with sleeves now blue", "red red", "blue now"]
PAIRS = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 8)]


def stub(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    return module


def import_file(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def ids(text):
    return [2] + [WORDS.index(word) for word in text.replace(",", " ,").split()] + [len(WORDS) - 1]


def tokenize(texts):
    rows = [ids(text) for text in ([texts] if isinstance(texts, str) else texts)]
    return torch.tensor([row + [0] * (LENGTH - len(row)) for row in rows])


def upstream(folder):
    """`model/model.py` and `src/trainer.py`."""
    import torch._dynamo  # it looks at the packages that are stubbed

    for name in ["wandb", "third_party", "third_party.open_clip", "PIL"]:
        stub(name, Image=None).__path__ = []
    stub("third_party.open_clip.clip", tokenize=tokenize, _transform=None)
    stub("third_party.open_clip.simple_tokenizer", SimpleTokenizer=None)
    stub("utils", is_master=None)
    torchvision = stub("torchvision")
    torchvision.__path__ = []
    stub("torchvision.utils", save_image=None)
    stub("tqdm", tqdm=None)
    model = import_file("pic2word_model", folder / "model/model.py")
    model.LayerNorm.forward = lambda self, x: F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
    torch.Tensor.cuda = lambda self, *_, **__: self
    return model, import_file("pic2word_trainer", folder / "src/trainer.py")


def towers(model):
    torch.manual_seed(1)
    clip = model.CLIP(P, 8, 1, 64, 8, LENGTH, len(WORDS), WIDTH, HEADS, LAYERS).double().eval()
    with torch.no_grad():
        # Upstream starts near zero, where a text's words hardly count.
        for parameter in clip.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, 0.3)
            elif parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
        clip.logit_scale.fill_(np.log(1 / 0.2))
    for parameter in clip.parameters():
        parameter.requires_grad_(False)
    return clip


def mapping(model, words, dropout):
    torch.manual_seed(2 + words)
    return model.IM2TEXT(P, HIDDEN, words * WIDTH, 2, dropout).double()


def encode_with(clip, text, words):
    """`encode_text_img` for several words an image."""
    x = clip.token_embedding(text)
    end = int((text[0] == clip.end_id).nonzero()[0])
    x = torch.cat([x[:, :end], words, x[:, end : -words.shape[1]]], dim=1) + clip.positional_embedding
    x = clip.ln_final(clip.transformer(x.permute(1, 0, 2)).permute(1, 0, 2))
    return x[:, end + words.shape[1]] @ clip.text_projection


def named(clip, im2text, prefix="mapping"):
    """Parameters by this project's names."""
    out = {
        "text.word": clip.token_embedding.weight,
        "text.position": clip.positional_embedding,
        "text.projection.weight": clip.text_projection,
        "text.norm.gamma": clip.ln_final.weight,
        "text.norm.beta": clip.ln_final.bias,
        "logit_scale": clip.logit_scale.reshape(1),
    }
    maps = {}
    for at, block in enumerate(clip.transformer.resblocks):
        place = f"text.blocks.{at}"
        for norm, name in [(block.ln_1, "attention_norm"), (block.ln_2, "mlp_norm")]:
            out[f"{place}.{name}.gamma"], out[f"{place}.{name}.beta"] = norm.weight, norm.bias
        weight, bias = block.attn.in_proj_weight.chunk(3), block.attn.in_proj_bias.chunk(3)
        for name, w, b in zip(["query", "key", "value"], weight, bias):
            maps[f"{place}.{name}"] = (w, b)
        for name, part in [("output", block.attn.out_proj), ("inner", block.mlp.c_fc), ("outer", block.mlp.c_proj)]:
            maps[f"{place}.{name}"] = (part.weight, part.bias)
    for name, part in [("first", im2text.layers[0][0]), ("second", im2text.layers[1][0]), ("output", im2text.fc_out)]:
        maps[f"{prefix}.{name}"] = (part.weight, part.bias)
    for name, (weight, bias) in maps.items():
        out[f"{name}.weight"], out[f"{name}.bias"] = weight.t(), bias
    return out


def batch_loss(rows, others, scale):
    """The published loss of rows against others, as `get_loss_img2text` ends."""
    rows, others = F.normalize(rows, dim=-1), F.normalize(others, dim=-1)
    right = torch.arange(len(rows))
    return (F.cross_entropy(scale * rows @ others.t(), right) + F.cross_entropy(scale * others @ rows.t(), right)) / 2


def train(trainer, clip, im2text, images, weights, triplets):
    """Ten steps; each loss before its weight, then the total."""
    fixed = [p for n, p in im2text.named_parameters() if "bias" in n]
    rest = [p for n, p in im2text.named_parameters() if "bias" not in n]
    optimizer = torch.optim.AdamW(
        [{"params": fixed, "weight_decay": 0.0}, {"params": rest, "weight_decay": TRAIN["weight_decay"]}],
        lr=TRAIN["rate"], betas=(TRAIN["beta1"], TRAIN["beta2"]), eps=TRAIN["epsilon"])
    args = types.SimpleNamespace(gpu=None, distributed=False, aggregate=False)
    clip.encode_image = lambda x: x
    losses, cross = [], nn.CrossEntropyLoss()
    for _ in range(STEPS):
        optimizer.zero_grad()
        zs = trainer.get_loss_img2text(clip, im2text, images, cross, cross, args)
        parts, total = [zs], weights["zs"] * zs
        if triplets is not None:
            references, texts, targets = triplets
            words = im2text(references)
            query = torch.cat([
                clip.encode_text_img_retrieval(text[None], word[None], split_ind=WORDS.index("*"), repeat=False)
                for text, word in zip(texts, words)])
            parts.append(batch_loss(query, targets, clip.logit_scale.exp()))
            total = total + weights["triplet"] * parts[1]
        total.backward()
        optimizer.step()
        losses.append([float(part) for part in parts] + [float(total)])
    return losses


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pic2word", type=pathlib.Path, required=True)
    folder = parser.parse_args().pic2word
    if (folder / ".git").exists():
        found = subprocess.check_output(["git", "-C", folder, "rev-parse", "HEAD"], text=True).strip()
        assert found == REVISION, f"{folder} is at {found}"
    torch.set_num_threads(1)
    model, trainer = upstream(folder)
    clip = towers(model)
    torch.manual_seed(9)
    images, unlabelled = torch.randn(IMAGES, P).double(), torch.randn(UNLABELLED, P).double()
    one, four = mapping(model, 1, 0.0), mapping(model, 4, 0.0)
    prompt = tokenize("a photo of").repeat(IMAGES, 1)
    references, targets = images[[a for a, _ in PAIRS]], images[[b for _, b in PAIRS]]
    texts = tokenize([f"a photo of *, {text}" for text in TEXTS])
    with torch.no_grad():
        outputs = {
            "out.mapping.1": one(images),
            "out.mapping.4": four(images),
            "out.prompt": clip.encode_text_img(prompt, one(images)),
            "out.prompt4": encode_with(clip, prompt, four(images).view(IMAGES, 4, WIDTH)),
            "out.query": torch.cat([
                clip.encode_text_img_retrieval(text[None], word[None], split_ind=WORDS.index("*"), repeat=False)
                for text, word in zip(texts, one(references))]),
        }
        outputs["out.prompt"], outputs["out.prompt4"], outputs["out.query"] = (
            F.normalize(outputs[name], dim=-1) for name in ["out.prompt", "out.prompt4", "out.query"])
        stored = {**named(clip, one), **{k: v for k, v in named(clip, four, "four").items() if k.startswith("four")}}
        stored = {name: value.clone() for name, value in stored.items()}
    runs = {
        "pic2word": train(trainer, clip, one, unlabelled, dict(zs=1.0), None),
        "hybrid": train(trainer, clip, mapping(model, 1, 0.0), unlabelled, WEIGHTS, (references, texts, targets)),
    }
    stored.update(outputs)
    stored["input.images"], stored["input.unlabelled"] = images, unlabelled
    arrays = {name: np.ascontiguousarray(value.detach().numpy().astype(np.float32)) for name, value in stored.items()}
    save_file(arrays, str(HERE / "pseudo_word.safetensors"))
    notes = dict(
        revision=REVISION, words=WORDS, texts=TEXTS, pairs=PAIRS, train=TRAIN, weights=WEIGHTS, losses=runs,
        shapes=dict(projection=P, width=WIDTH, heads=HEADS, layers=LAYERS, length=LENGTH, hidden=HIDDEN))
    (HERE / "pseudo_word.json").write_text(json.dumps(notes, indent=1) + "\n")
    for name, losses in runs.items():
        print(name, losses[0], losses[-1])


if __name__ == "__main__":
    main()
