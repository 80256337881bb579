#!/usr/bin/env python3
"""ConText-CIR's fusion, pooling and losses, and ten steps of training both towers, on small random weights.

    python tests/golden/concept.py --context DIR

The checkout is github.com/mvrl/ConText-CIR at revision REVISION below, with torch 2.15.0 and transformers 5.24.0, on a CPU. Nothing of
that code is copied here: `src/Models.py` is run, with the widths of its CLIP-B towers (512 and 768) replaced by small ones, and with
pytorch_lightning, its parser and the downloads of `from_pretrained` stubbed. All is computed in float64.

What comes from where
- `out.vision`, `out.text`: transformers' `CLIPVisionModel` and `CLIPTextModel`, every token, as `VisionEncoder` and `TextEncoder` give them.
- `out.block.*`, `out.weights`, `out.pooled`, `out.query`, `out.target`: `ConText.forward` with its `cross_attn_layers`,
  `fusion_ffns`, `_avg_attention`, `attn_pooler`, `query_projection` and `visual_projection`.
- `cc`: `ConText.compute_text_cc_loss` for two values of its slack; `grad.*`: of `cir_infonce` plus LAMBDA times it.
- `code`: ten steps of the same, with AdamW over all parameters.
- `out.paper.*`, `paper`: what the paper says where its code does otherwise, on upstream's `MultiheadCrossAttention`: blocks of
  attention and a residual alone; Set Transformer's pooling, MAB(S, rFF(Z)); targets f(I, ""); L_cont with the query's own reference;
  L_cc one-sided, summed over a text's phrases.

Rates and weights are larger than published, so that ten steps move each loss. A step's batch is everything there is. Weights are stored under
this project's names, linear maps as `[d_in, d_out]`; those of the paper's form that the code's lacks behind `paper.`.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import types

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

REVISION = "cc070073346e164fb67faba81fd57db85011b9f0"
HERE = pathlib.Path(__file__).parent
SIDE, PATCH, VISION, TEXT, P, LENGTH = 8, 4, 24, 16, 12, 13
LAYERS, HEADS, BLOCKS, IMAGES, STEPS = 2, 2, 2, 8, 10
TAU, LAMBDA, SLACK = 0.07, 2.0, 0.01
TRAIN = dict(steps=STEPS, rate=2e-3, weight_decay=0.05, beta1=0.9, beta2=0.98, epsilon=1e-6)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "a", "photo", "of", "the", ",", "red", "blue", "dog", "with", "sleeves", "longer", "[SEP]"]
TEXTS = ["a red dog with longer sleeves", "the blue photo of a dog", "longer", "the dog , a red photo with blue sleeves",
         "blue sleeves", "a photo of the red dog of the blue dog with sleeves"]
PHRASES = [["a red dog", "longer sleeves"], ["the blue photo of a dog", "a dog", "the blue photo"], [],
           ["the dog", "a red photo", "blue sleeves"], ["blue sleeves", "the red dog"],
           # The first place counts; the last is beyond the longest text.
           ["a photo of the red dog", "dog", "sleeves"]]
PAIRS = [(0, 1), (2, 3), (4, 5), (6, 7), (1, 4), (3, 0)]


class Tokenizer:
    """Words between marks, padded with the end mark as Hugging Face's CLIP does."""

    def __call__(self, texts, padding=None, return_tensors=None, truncation=True, max_length=LENGTH):
        one = isinstance(texts, str)
        rows = []
        for text in [texts] if one else texts:
            ids = [WORDS.index(word) for word in text.split()][:LENGTH - 2]
            rows.append([2] + ids + [len(WORDS) - 1])
        if one:
            return {"input_ids": rows[0]}
        ids = torch.tensor([row + [len(WORDS) - 1] * (LENGTH - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (LENGTH - len(row)) for row in rows])
        return types.SimpleNamespace(to=lambda _: {"input_ids": ids, "attention_mask": mask})


def upstream(folder):
    """The published module with small towers."""
    lightning = types.ModuleType("pytorch_lightning")
    lightning.LightningModule = type("LightningModule", (nn.Module,), {
        "save_hyperparameters": lambda self: None, "device": property(lambda self: torch.device("cpu"))})
    parser = types.ModuleType("Parser")
    parser.Parser = lambda *_: nn.Module()
    sys.modules["pytorch_lightning"], sys.modules["Parser"] = lightning, parser
    text = dict(hidden_size=TEXT, intermediate_size=2 * TEXT, num_hidden_layers=LAYERS, num_attention_heads=HEADS, vocab_size=len(WORDS),
                max_position_embeddings=LENGTH, bos_token_id=2, eos_token_id=len(WORDS) - 1, pad_token_id=len(WORDS) - 1,
                projection_dim=P)
    vision = dict(hidden_size=VISION, intermediate_size=2 * VISION, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                  image_size=SIDE, patch_size=PATCH, projection_dim=P)
    small = {
        "CLIPTextModel": lambda: transformers.CLIPTextModel(transformers.CLIPTextConfig(**text)),
        "CLIPVisionModel": lambda: transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**vision)),
        "CLIPModel": lambda: transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=P)),
        "CLIPTokenizer": Tokenizer,
        "CLIPImageProcessor": lambda: None,
    }
    source = (folder / "src/Models.py").read_text()
    widths = "self.text_dim, self.vision_dim = 512, 768"
    assert source.count(widths) == 1
    source = source.replace(widths, f"self.text_dim, self.vision_dim = {TEXT}, {VISION}")
    module = types.ModuleType("Models")
    exec(compile(source, "Models.py", "exec"), module.__dict__)
    for name, make in small.items():
        setattr(module, name, types.SimpleNamespace(from_pretrained=lambda _, make=make: make()))
    return module


def model(module):
    """`ConText` with random weights everywhere, also where training begins with zeros."""
    torch.manual_seed(5)
    args = types.SimpleNamespace(backbone_size="B", learning_rate=TRAIN["rate"])
    made = module.ConText(args, num_cross_attn_layers=BLOCKS, heads=HEADS, temperature=TAU, lambda_cc=LAMBDA, epsilon_cc=SLACK)
    return randomised(made)


def randomised(made):
    for name, parameter in made.named_parameters():
        with torch.no_grad():
            drawn = torch.randn(parameter.shape)
            if parameter.dim() == 1 and "norm" in name and name.endswith("weight"):
                parameter.copy_(1 + 0.1 * drawn)
            elif parameter.dim() == 1:
                parameter.copy_(0.1 * drawn)
            else:
                parameter.copy_(drawn * 1.4 / parameter[0].numel() ** 0.5)
    return made.double().train()


class SetPool(nn.Module):
    """Set Transformer's pooling by multi-head attention with one seed: MAB(S, rFF(Z)), rFF a linear map with ReLU."""

    def __init__(self, module):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, 1, VISION))
        self.attention = module.MultiheadCrossAttention(VISION, VISION, HEADS)
        self.norm, self.last_norm = nn.LayerNorm(VISION), nn.LayerNorm(VISION)
        self.before, self.after = nn.Linear(VISION, VISION), nn.Linear(VISION, VISION)

    def forward(self, tokens):
        seeds = self.queries.expand(len(tokens), -1, -1)
        x = self.norm(seeds + self.attention(seeds, F.relu(self.before(tokens))))
        return self.last_norm(x + F.relu(self.after(x))).squeeze(1)


class Paper:
    """The paper's form on the modules of the published one."""

    def __init__(self, made, pool):
        self.made, self.pool = made, pool

    def fuse(self, images, texts):
        text, mask = self.made.text_encoder(texts)
        x, maps = self.made.vision_encoder(images), []
        for attention in self.made.cross_attn_layers:
            read, weights = attention(x, text, return_attention=True, key_padding_mask=mask)
            x = x + read
            maps.append(weights)
        return x, self.made._avg_attention(maps)

    def rows(self, images, texts):
        fused, weights = self.fuse(images, texts)
        return F.normalize(self.made.query_projection(self.pool(fused)), dim=1), weights

    def losses(self, batch):
        queries, weights = self.rows(batch["reference"], batch["caption"])
        silence = [""] * len(queries)
        targets, references = (self.rows(batch[key], silence)[0] for key in ["target", "reference"])
        logits = torch.cat([queries @ targets.t(), (queries * references).sum(1, keepdim=True)], 1) / TAU
        contrast = F.cross_entropy(logits, torch.arange(len(queries)))
        tokenizer, consistency = self.made.text_encoder.tokenizer, 0.0
        for row, (text, phrases) in enumerate(zip(batch["caption"], batch["noun_phrases"])):
            ids = tokenizer(text)["input_ids"]
            for phrase in phrases:
                own = tokenizer(phrase)["input_ids"][1:-1]
                place = self.made._find_subsequence(ids, own)
                if place is None:
                    continue
                within = weights[row, 1:, place[0]:place[1]].mean(-1)
                with torch.no_grad():
                    alone = self.fuse(batch["reference"][row:row + 1], [phrase])[1][0, 1:, 1:1 + len(own)].mean(-1)
                consistency = consistency + F.relu(within - alone - SLACK).mean()
        return contrast, consistency / len(queries)


def named(made, pool):
    """Every weight under this project's name."""
    out, maps = {}, {}
    vision, text = made.vision_encoder.model, made.text_encoder.model
    vision, text = getattr(vision, "vision_model", vision), getattr(text, "text_model", text)

    def norm(name, layer):
        out[f"{name}.gamma"], out[f"{name}.beta"] = layer.weight, layer.bias

    def attention(name, layer):
        for ours, theirs in [("query", "q"), ("key", "k"), ("value", "v"), ("output", "out")]:
            maps[f"{name}.{ours}"] = getattr(layer, f"{theirs}_proj")

    def blocks(name, layers):
        for at, layer in enumerate(layers):
            place = f"{name}.blocks.{at}"
            norm(f"{place}.attention_norm", layer.layer_norm1)
            norm(f"{place}.mlp_norm", layer.layer_norm2)
            attention(place, layer.self_attn)
            maps[f"{place}.inner"], maps[f"{place}.outer"] = layer.mlp.fc1, layer.mlp.fc2

    encoder = "image_encoder.vit"
    out[f"{encoder}.class_token"] = vision.embeddings.class_embedding
    out[f"{encoder}.position"] = vision.embeddings.position_embedding.weight
    out[f"{encoder}.patch.weight"] = vision.embeddings.patch_embedding.weight.flatten(1).t()
    norm(f"{encoder}.input_norm", vision.pre_layrnorm)
    blocks(encoder, vision.encoder.layers)
    norm("image_norm", vision.post_layernorm)
    out["text.word"] = text.embeddings.token_embedding.weight
    out["text.position"] = text.embeddings.position_embedding.weight
    norm("text.norm", text.final_layer_norm)
    blocks("text", text.encoder.layers)
    for at, layer in enumerate(made.cross_attn_layers):
        place = f"fusion.{at}"
        attention(f"{place}.attention", layer)
        norm(f"{place}.feed.attention_norm", made.fusion_attn_norms[at])
        norm(f"{place}.feed.norm", made.fusion_ffn_norms[at])
        maps[f"{place}.feed.inner"], maps[f"{place}.feed.outer"] = made.fusion_ffns[at][0], made.fusion_ffns[at][3]
    for prefix, part in [("", made.attn_pooler), ("paper.", pool)]:
        out[f"{prefix}pool.seed"] = part.queries[0]
        attention(f"{prefix}pool.attention", part.attention)
        norm(f"{prefix}pool.norm", part.norm)
    norm("paper.pool.set.norm", pool.last_norm)
    maps["paper.pool.set.before"], maps["paper.pool.set.after"] = pool.before, pool.after
    maps["head"] = made.query_projection
    out["image_projection.weight"] = made.visual_projection.weight.t()
    for name, part in maps.items():
        out[f"{name}.weight"], out[f"{name}.bias"] = part.weight.t(), part.bias
    return out


def gradients(made, pool):
    """The same of the gradients."""
    kept = {name: value.detach().clone() for name, value in named(made, pool).items()}
    parameters = [p for part in [made, pool] for p in part.parameters()]
    values = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        for p in parameters:
            p.copy_(torch.zeros_like(p) if p.grad is None else p.grad)
        found = {f"grad.{name}": value.detach().clone() for name, value in named(made, pool).items()}
        for p, value in zip(parameters, values):
            p.copy_(value)
    assert all(torch.equal(kept[name], value) for name, value in named(made, pool).items())
    return {name: value for name, value in found.items() if value.abs().sum() > 0}


def steps(parameters, losses):
    """Ten steps; L_cont, L_cc, then their sum."""
    optimizer = torch.optim.AdamW(parameters, lr=TRAIN["rate"], weight_decay=TRAIN["weight_decay"],
                                  betas=(TRAIN["beta1"], TRAIN["beta2"]), eps=TRAIN["epsilon"])
    found = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        contrast, consistency = losses()
        total = contrast + LAMBDA * consistency
        total.backward()
        optimizer.step()
        found.append([float(value.detach()) for value in [contrast, consistency, total]])
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--context", type=pathlib.Path, required=True)
    folder = parser.parse_args().context
    if (folder / ".git").exists():
        found = subprocess.check_output(["git", "-C", folder, "rev-parse", "HEAD"], text=True).strip()
        assert found == REVISION, f"{folder} is at {found}"
    torch.set_num_threads(1)
    module = upstream(folder)
    made, pool = model(module), randomised(SetPool(module))
    torch.manual_seed(9)
    pixels = torch.randn(IMAGES, 3, SIDE, SIDE).double()
    batch = dict(reference=pixels[[a for a, _ in PAIRS]], target=pixels[[b for _, b in PAIRS]], caption=TEXTS, noun_phrases=PHRASES)

    def code():
        queries, maps, references = made.forward(batch["reference"], TEXTS, return_attention=True, return_ref_embedding=True)
        contrast = made.cir_infonce(queries, made.get_image_features(batch["target"]), references)
        return contrast, made.compute_text_cc_loss(batch, maps)[0]

    paper = Paper(made, pool)
    with torch.no_grad():
        blocks = []
        handles = [ffn.register_forward_hook(lambda _, x, y: blocks.append(y)) for ffn in made.fusion_ffns]
        fused = []
        handle = made.attn_pooler.register_forward_hook(lambda _, x, y: fused.append((x[0], y)))
        query, maps, reference = made.forward(batch["reference"], TEXTS, return_attention=True, return_ref_embedding=True)
        for one in handles + [handle]:
            one.remove()
        rows, weights = paper.rows(batch["reference"], TEXTS)
        outputs = {
            "out.vision": made.vision_encoder(pixels),
            "out.text": made.text_encoder(TEXTS)[0],
            "out.fused": fused[0][0],
            "out.pooled": fused[0][1].squeeze(1),
            "out.weights": made._avg_attention(maps),
            "out.query": F.normalize(query, dim=1),
            "out.target": F.normalize(reference, dim=1),
            "out.paper.fused": paper.fuse(batch["reference"], TEXTS)[0],
            "out.paper.weights": weights,
            "out.paper.query": rows,
            "out.paper.target": paper.rows(batch["reference"], [""] * len(TEXTS))[0],
        }
        cc = {}
        for slack in [0.0, SLACK]:
            made.epsilon_cc = slack
            value, _, count = made.compute_text_cc_loss(batch)
            cc[str(slack)] = float(value)
        count = int(count)
    contrast, consistency = code()
    (contrast + LAMBDA * consistency).backward()
    stored = {name: value.detach().clone() for name, value in named(made, pool).items()}
    stored.update(gradients(made, pool))
    stored.update(outputs)
    start = {name: value.clone() for name, value in made.state_dict().items()}
    runs = dict(code=steps(made.parameters(), code))
    made.load_state_dict(start)
    runs["paper"] = steps([*made.parameters(), *pool.parameters()], lambda: paper.losses(batch))
    stored["input.pixels"] = pixels
    arrays = {name: np.ascontiguousarray(value.detach().numpy().astype(np.float32)) for name, value in stored.items()}
    save_file(arrays, str(HERE / "concept.safetensors"))
    notes = dict(
        revision=REVISION, words=WORDS, texts=TEXTS, phrases=PHRASES, pairs=PAIRS, train=TRAIN, tau=TAU, consistency_weight=LAMBDA, slack=SLACK,
        cc=cc, located=count, losses=runs,
        shapes=dict(side=SIDE, patch=PATCH, vision=VISION, text=TEXT, projection=P, length=LENGTH, layers=LAYERS, heads=HEADS, blocks=BLOCKS))
    (HERE / "concept.json").write_text(json.dumps(notes, indent=1) + "\n")
    for name, losses in runs.items():
        print(name, losses[0], losses[-1])
    print(cc, count)


if __name__ == "__main__":
    main()
