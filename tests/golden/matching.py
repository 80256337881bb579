#!/usr/bin/env python3
"""FashionBLIP-2 as a plain torch module: adapters in a ViT, the Q-Former's passes, matching, both losses, ten steps of training.

    python tests/golden/matching.py

The paper (https://arxiv.org/abs/2507.07135) has no published code, so this is its equations 1 to 5 on modules of torch.nn, with small
random weights in float64, written from the paper and from BLIP-2's architecture (`blip2.py` and `qformer.py` compare that with upstream's
code). torch 2.15.0 on a CPU.

What comes from where
- `out.base`: the ViT's tokens without adapters; `out.vision`: with them, their W_u drawn at random.
- `out.xq`, `out.xc`: the Q-Former's outputs for image and text, and for an image; `out.query`, `out.target`: eq. 2 and 3, each of the
  rows normalised, behind each other, divided by the root of their number.
- `out.scores`: eq. 4, a sum of cosines, computed from `out.xq` and `out.xc` without that form.
- `out.caption.queries`, `out.caption.cls`: captions alone, in both forms; `out.global.*`: the ablation without mixing.
- `grad.*`: of L_CIR + CTR * L_CTR.
- `losses`: ten steps with AdamW: stage 1 (adapters and all but the ViT train; τ trains too), stage 2 (L_CIR alone, adapters frozen), and
  stage 1 of the ablation with captions read as `[CLS]`.

Rates and weights are larger than the recipes', so that ten steps move each loss. A step's batch is everything there is. Weights are stored
under this project's names, linear maps as `[d_in, d_out]`.
"""

import json
import math
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent
SIDE, PATCH, VISION, LAYERS, HEADS, FACTOR = 8, 4, 24, 2, 2, 4
WIDTH, QUERIES, POSITIONS, LENGTH = 16, 5, 32, 13
ROWS, ROW_WIDTH, TAU, CTR, IMAGES, STEPS = 3, 6, 0.8, 0.7, 8, 10
TRAIN = dict(steps=STEPS, rate=1e-3, weight_decay=0.05, beta1=0.9, beta2=0.98, epsilon=1e-6)
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "the", ",", "red", "blue", "dress", "with", "sleeves", "longer", "shorter"]
TEXTS = ["a red dress with longer sleeves", "the blue dress", "longer", "the dress , a red dress with blue sleeves", "shorter sleeves",
         "the red dress , the blue dress with longer sleeves"]
CAPTIONS = ["a red dress", "the blue dress with shorter sleeves , longer", "a dress", "red sleeves , blue sleeves", "a blue dress , red",
            "longer"]
PAIRS = [(0, 1), (2, 3), (4, 5), (6, 7), (1, 4), (3, 0)]
HIDDEN = -10000.0


def attend(query, key, value, bias):
    """Softmax attention of HEADS heads; `bias` [B, m]."""
    def split(x):
        return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)
    scores = split(query) @ split(key).transpose(2, 3) / math.sqrt(query.shape[-1] // HEADS)
    return ((scores + bias[:, None, None]).softmax(-1) @ split(value)).transpose(1, 2).flatten(2)


class Adapter(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.down, self.up = nn.Linear(width, width // FACTOR), nn.Linear(width // FACTOR, width)

    def forward(self, x):
        return x + self.up(F.gelu(self.down(x)))


class VitBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.LayerNorm(c, eps=1e-6), nn.LayerNorm(c, eps=1e-6)
        self.query, self.key, self.value = nn.Linear(c, c), nn.Linear(c, c, bias=False), nn.Linear(c, c)
        self.output, self.inner, self.outer = nn.Linear(c, c), nn.Linear(c, 2 * c), nn.Linear(2 * c, c)
        self.adapters = nn.ModuleDict(dict(attention=Adapter(c), feed_forward=Adapter(c)))

    def forward(self, x, adapted):
        adapters = self.adapters if adapted else dict(attention=nn.Identity(), feed_forward=nn.Identity())
        y = self.attention_norm(x)
        seen = x.new_zeros(x.shape[:2])
        x = x + adapters["attention"](self.output(attend(self.query(y), self.key(y), self.value(y), seen)))
        return x + adapters["feed_forward"](self.outer(F.gelu(self.inner(self.mlp_norm(x)))))


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Linear(3 * PATCH * PATCH, VISION)
        self.class_token = nn.Parameter(torch.zeros(VISION))
        self.position = nn.Parameter(torch.zeros((SIDE // PATCH) ** 2 + 1, VISION))
        self.blocks = nn.ModuleList(VitBlock(VISION) for _ in range(LAYERS))

    def forward(self, pixels, adapted=True):
        x = self.patch(F.unfold(pixels, PATCH, stride=PATCH).transpose(1, 2))
        x = torch.cat([self.class_token.expand(len(x), 1, -1), x], 1) + self.position
        for block in self.blocks:
            x = block(x, adapted)
        return x


class Attention(nn.Module):
    def __init__(self, source):
        super().__init__()
        self.query, self.output = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.key, self.value = nn.Linear(source, WIDTH), nn.Linear(source, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x, source, bias):
        return self.norm(x + self.output(attend(self.query(x), self.key(source), self.value(source), bias)))


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x):
        return self.norm(x + self.outer(F.gelu(self.inner(x))))


class QFormerBlock(nn.Module):
    def __init__(self, looks):
        super().__init__()
        self.attention, self.text, self.query = Attention(WIDTH), FeedForward(), FeedForward()
        if looks:
            self.cross = Attention(VISION)

    def forward(self, x, bias, queries, image):
        x = self.attention(x, x, bias)
        if image is None:
            return self.text(x)
        q, rest = x[:, :queries], x[:, queries:]
        if hasattr(self, "cross"):
            q = self.cross(q, image, image.new_zeros(image.shape[:2]))
        return torch.cat([self.query(q), self.text(rest)], 1)


class QFormer(nn.Module):
    def __init__(self):
        super().__init__()
        self.word = nn.Parameter(torch.zeros(len(WORDS), WIDTH))
        self.position = nn.Parameter(torch.zeros(POSITIONS, WIDTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.blocks = nn.ModuleList(QFormerBlock(at % 2 == 0) for at in range(LAYERS))

    def forward(self, queries, texts, image):
        """Outputs of the queries [B, n, D]; without queries, of all words."""
        parts, bias = [], []
        if queries is not None:
            parts, bias = [queries], [queries.new_zeros(queries.shape[:2])]
        if texts is not None:
            ids, mask = texts
            parts.append(self.word[ids] + self.position[: ids.shape[1]])
            bias.append((1 - mask) * HIDDEN)
        x, bias = self.norm(torch.cat(parts, 1)), torch.cat(bias, 1)
        count = 0 if queries is None else queries.shape[1]
        for block in self.blocks:
            x = block(x, bias, count, image)
        return x[:, :count] if count else x


class FashionBlip2(nn.Module):
    def __init__(self):
        super().__init__()
        self.image_encoder = nn.ModuleDict(dict(vit=Vit()))
        self.image_norm, self.qformer = nn.LayerNorm(VISION, eps=1e-5), QFormer()
        self.query_tokens = nn.Parameter(torch.zeros(QUERIES, WIDTH))
        self.token_mixing, self.channel_mixing = nn.Linear(QUERIES, ROWS, bias=False), nn.Linear(WIDTH, ROW_WIDTH, bias=False)
        self.tau = nn.Parameter(torch.zeros(1))

    def queries(self, count):
        return self.query_tokens.expand(count, -1, -1)

    def mixed(self, x):
        """Eq. 2 and 3: W_tm × x × W_cm, [B, ROWS, ROW_WIDTH]."""
        return self.token_mixing.weight @ x @ self.channel_mixing.weight.t()

    def rows(self, x, matching):
        x = self.mixed(x) if matching else x.mean(1, keepdim=True)
        return F.normalize(x, dim=-1).flatten(1) / math.sqrt(x.shape[1])

    def caption(self, texts, form, matching):
        if form == "queries":
            return self.rows(self.qformer(self.queries(len(texts[0])), texts, None), matching)
        first = self.qformer(None, texts, None)[:, 0]
        if not matching:
            return F.normalize(first, dim=-1)
        row = F.normalize(first @ self.channel_mixing.weight.t(), dim=-1)
        return row.repeat(1, ROWS) / math.sqrt(ROWS)

    def outputs(self, images, texts):
        image = self.image_norm(images)
        reference, target = (image[[pair[side] for pair in PAIRS]] for side in [0, 1])
        count = len(PAIRS)
        return self.qformer(self.queries(count), texts, reference), self.qformer(self.queries(count), None, target)

    def losses(self, images, texts, captions, form, matching):
        xq, xc = self.outputs(images, texts)
        query, count = self.rows(xq, matching), ROWS if matching else 1
        own = torch.arange(len(query))
        return [F.cross_entropy(count * query @ other.t() / self.tau, own)
                for other in [self.rows(xc, matching), self.caption(captions, form, matching)]]


def tokens(texts):
    rows = [[2] + [WORDS.index(word) for word in text.split()][: LENGTH - 2] + [3] for text in texts]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1.0] * len(row) + [0.0] * (longest - len(row)) for row in rows]).double()
    return ids, mask


def randomised():
    torch.manual_seed(21)
    made = FashionBlip2()
    for name, parameter in made.named_parameters():
        with torch.no_grad():
            drawn = torch.randn(parameter.shape)
            if parameter.dim() == 1 and "norm" in name and name.endswith("weight"):
                parameter.copy_(1 + 0.1 * drawn)
            elif parameter.dim() == 1:
                parameter.copy_(0.1 * drawn)
            else:
                parameter.copy_(drawn * 1.4 / parameter[0].numel() ** 0.5)
            if name == "tau":
                parameter.fill_(TAU)
    return made.double()


def named(made, values):
    """Values of the parameters under this project's names and layouts."""
    norms = {name for name, module in made.named_modules() if isinstance(module, nn.LayerNorm)}
    maps = {name for name, module in made.named_modules() if isinstance(module, nn.Linear)}
    found = {}
    for name, value in values.items():
        place, _, leaf = name.rpartition(".")
        if place in norms:
            name = f"{place}.{dict(weight='gamma', bias='beta')[leaf]}"
        elif place in maps and leaf == "weight":
            value = value.t()
        found[name] = value
    return found


def steps(made, kept, losses, weight):
    """Ten steps; L_CIR, L_CTR, then what is minimised. What `kept` names stays."""
    trained = [p for name, p in made.named_parameters() if not kept(name)]
    optimizer = torch.optim.AdamW(trained, lr=TRAIN["rate"], weight_decay=TRAIN["weight_decay"],
                                  betas=(TRAIN["beta1"], TRAIN["beta2"]), eps=TRAIN["epsilon"])
    found = []
    for _ in range(STEPS):
        for parameter in made.parameters():
            parameter.grad = None
        cir, ctr = losses()
        total = cir + weight * ctr if weight else cir
        total.backward()
        # What nothing reads has no gradient, and stays.
        optimizer.step()
        found.append([float(value.detach()) for value in [cir, ctr, total]])
    return found


def main():
    torch.set_num_threads(1)
    made = randomised()
    pixels = torch.randn(IMAGES, 3, SIDE, SIDE).double()
    texts, captions = tokens(TEXTS), tokens(CAPTIONS)
    vit = made.image_encoder["vit"]
    stored = named(made, {name: value.detach().clone() for name, value in made.named_parameters()})

    def losses(form="queries", matching=True):
        return made.losses(vit(pixels), texts, captions, form, matching)

    with torch.no_grad():
        images = vit(pixels)
        xq, xc = made.outputs(images, texts)
        a, b = made.mixed(xq), made.mixed(xc)
        cosines = F.cosine_similarity(a[:, None], b[None], dim=-1).sum(-1)
        stored |= {"out.base": vit(pixels, False), "out.vision": images, "out.xq": xq, "out.xc": xc, "out.scores": cosines,
                   "out.query": made.rows(xq, True), "out.target": made.rows(xc, True),
                   "out.caption.queries": made.caption(captions, "queries", True),
                   "out.caption.cls": made.caption(captions, "cls", True),
                   "out.global.query": made.rows(xq, False), "out.global.target": made.rows(xc, False),
                   "out.global.caption.queries": made.caption(captions, "queries", False),
                   "out.global.caption.cls": made.caption(captions, "cls", False)}
    cir, ctr = losses()
    (cir + CTR * ctr).backward()
    found = named(made, {name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None})
    frozen = lambda name: name.startswith("image_encoder.") and ".adapters." not in name
    stored |= {f"grad.{name}": value for name, value in found.items() if not frozen(name)}
    start = {name: value.clone() for name, value in made.state_dict().items()}
    runs = {}
    for name, keep, form, matching, weight in [
        ("stage 1", frozen, "queries", True, CTR),
        ("stage 2", lambda name: name.startswith("image_encoder.") or name == "tau", "queries", True, 0),
        ("global", lambda name: frozen(name) or name == "tau", "cls", False, CTR),
    ]:
        made.load_state_dict(start)
        runs[name] = steps(made, keep, lambda: losses(form, matching), weight)
        print(name, runs[name][0], runs[name][-1])
    stored["input.pixels"] = pixels
    arrays = {name: np.ascontiguousarray(value.detach().numpy().astype(np.float32)) for name, value in stored.items()}
    save_file(arrays, str(HERE / "matching.safetensors"))
    notes = dict(words=WORDS, texts=TEXTS, captions=CAPTIONS, pairs=PAIRS, train=TRAIN, tau=TAU, ctr=CTR, losses=runs,
                 shapes=dict(side=SIDE, patch=PATCH, vision=VISION, layers=LAYERS, heads=HEADS, factor=FACTOR, width=WIDTH,
                             queries=QUERIES, positions=POSITIONS, length=LENGTH, rows=ROWS, row_width=ROW_WIDTH))
    (HERE / "matching.json").write_text(json.dumps(notes, indent=1) + "\n")


if __name__ == "__main__":
    main()
