#!/usr/bin/env python3
"""The same graphs in plain torch.nn, for timings beside other engines. Nothing here trains or ships anything.

`EfficientNetLite0` and `QFormer` follow this project's own module definitions; parameter names are the checkpoints', so
that the check below can load them. Run as a script, it proves against the golden values that the timed graphs compute
what they should:

    python bench/peers/peer_model.py [--weights efficientnet-lite0-57934424.pth]
"""

import argparse
import json
import pathlib
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
PRESETS = ROOT / "model" / "configs"


@dataclass
class Shape:
    """The sizes that a Q-Former needs. Letters as in docs/reference/glossary.md."""

    width: int = 384  # D
    heads: int = 12  # H
    intermediate: int = 1536
    layers: int = 6
    cross_attention_freq: int = 2
    encoder_width: int = 1280  # C
    queries: int = 12  # N
    projection: int = 128  # P
    vocab: int = 30523
    max_positions: int = 512
    text_length: int = 32  # L
    image_tokens: int = 49  # T
    dropout: float = 0.1
    eps: float = 1e-12
    word_width: int | None = None  # of the word table, where it differs from D
    image_width: int | None = None  # image tokens are mapped to it once, before every layer's keys and values
    image_norm: bool = True  # `ln_vision`

    @staticmethod
    def from_config(path):
        """Reads a file of model/configs."""
        config = json.loads(pathlib.Path(path).read_text())
        q, encoder = config["qformer"], config["image_encoder"]
        tokens = {}
        if encoder["kind"] == "vit":
            patches = (config["preprocess"]["size"] // encoder["patch"]) ** 2
            tokens = {"encoder_width": encoder["width"], "image_tokens": patches + 1}
        return Shape(
            **tokens,
            width=q["width"],
            heads=q["heads"],
            intermediate=q["intermediate"],
            layers=q["layers"],
            cross_attention_freq=q["cross_attention_every"],
            queries=q["query_tokens"],
            projection=config["projection"],
            vocab=q["vocabulary"],
            max_positions=q["positions"],
            text_length=config["text_length"],
            dropout=q["dropout"],
            word_width=q.get("word_width"),
            image_width=q.get("image_width"),
        )


class SamePad(nn.Module):
    """TensorFlow's "same" padding: the odd pixel goes to the right and the bottom."""

    def __init__(self, kernel, stride):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x):
        sides = []
        for size in [x.shape[3], x.shape[2]]:
            total = max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)
            sides += [total // 2, total - total // 2]
        return F.pad(x, sides) if any(sides) else x


def conv_norm(inputs, outputs, kernel, stride=1, groups=1, relu=True):
    parts = [
        SamePad(kernel, stride) if stride > 1 else nn.Identity(),
        nn.Conv2d(
            inputs, outputs, kernel, stride, 0 if stride > 1 else kernel // 2, groups=groups, bias=False
        ),
        nn.BatchNorm2d(outputs, eps=1e-3),
    ]
    return nn.Sequential(*parts, *([nn.ReLU6()] if relu else []))


class Block(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride, expand):
        super().__init__()
        inner = inputs * expand
        self.expand = conv_norm(inputs, inner, 1) if expand > 1 else nn.Identity()
        self.depthwise = conv_norm(inner, inner, kernel, stride, groups=inner)
        self.project = conv_norm(inner, outputs, 1, relu=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """[B, 3, 224, 224] to the feature grid [B, 1280, 7, 7]."""

    STAGES = [  # repeats, kernel, stride, expansion, output channels
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    ]

    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 32, 3, 2)
        blocks, inputs = [], 32
        for repeats, kernel, stride, expand, outputs in self.STAGES:
            for i in range(repeats):
                blocks.append(Block(inputs, outputs, kernel, stride if i == 0 else 1, expand))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = conv_norm(inputs, 1280, 1)
        for module in self.modules():  # torch's default shrinks the signal to nothing over this many layers
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_in")

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)))

    def load_checkpoint(self, state):
        """Both list convolutions and norms in execution order, so position in the file is enough."""
        values = [v for k, v in state.items() if not k.startswith("_fc.")]
        own = self.state_dict()
        # The checkpoint keeps the stem, then the blocks, then the head, each convolution before its norm.
        self.load_state_dict(dict(zip(own, values, strict=True)))
        return self

    def folded(self):
        """Batch norms folded into the convolutions, as every inference engine does."""
        for module in self.modules():
            if isinstance(module, nn.Sequential) and len(module) > 2 and isinstance(module[2], nn.BatchNorm2d):
                module[1] = torch.nn.utils.fusion.fuse_conv_bn_eval(module[1], module[2])
                module[2] = nn.Identity()
        return self


class Attention(nn.Module):
    def __init__(self, width, context, heads, dropout, eps):
        super().__init__()
        self.self = nn.ModuleDict(
            {"query": nn.Linear(width, width), "key": nn.Linear(context, width), "value": nn.Linear(context, width)}
        )
        self.output = nn.ModuleDict({"dense": nn.Linear(width, width), "LayerNorm": nn.LayerNorm(width, eps=eps)})
        self.heads, self.dropout = heads, dropout

    def forward(self, x, context, mask):
        b, n, d = x.shape
        split = lambda t: t.view(b, -1, self.heads, d // self.heads).transpose(1, 2)
        q, k, v = split(self.self["query"](x)), split(self.self["key"](context)), split(self.self["value"](context))
        drop = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=drop)
        y = self.output["dense"](y.transpose(1, 2).reshape(b, n, d))
        return self.output["LayerNorm"](x + F.dropout(y, self.dropout, self.training))


class Layer(nn.Module):
    def __init__(self, shape, index):
        super().__init__()
        d, inner, eps = shape.width, shape.intermediate, shape.eps
        self.dropout = shape.dropout
        self.attention = Attention(d, d, shape.heads, shape.dropout, eps)
        self.crossattention = None
        if index % shape.cross_attention_freq == 0:
            context = shape.image_width or shape.encoder_width
            self.crossattention = Attention(d, context, shape.heads, shape.dropout, eps)
        for suffix in ["", "_query"]:
            setattr(self, "intermediate" + suffix, nn.ModuleDict({"dense": nn.Linear(d, inner)}))
            output = nn.ModuleDict({"dense": nn.Linear(inner, d), "LayerNorm": nn.LayerNorm(d, eps=eps)})
            setattr(self, "output" + suffix, output)

    def feed_forward(self, x, suffix):
        inner, outer = getattr(self, "intermediate" + suffix), getattr(self, "output" + suffix)
        y = outer["dense"](F.gelu(inner["dense"](x)))
        return outer["LayerNorm"](x + F.dropout(y, self.dropout, self.training))

    def forward(self, x, mask, image, queries):
        x = self.attention(x, x, mask)
        if image is None:
            return self.feed_forward(x, "")
        q, text = x[:, :queries], x[:, queries:]
        if self.crossattention is not None:
            q = self.crossattention(q, image, None)
        q = self.feed_forward(q, "_query")
        return torch.cat([q, self.feed_forward(text, "")], 1) if text.shape[1] else q


class QFormer(nn.Module):
    """One Q-Former, four call patterns (see model/src/nn/qformer.rs and tests/golden/qformer.py)."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        d, words, image = shape.width, shape.word_width or shape.width, shape.image_width
        self.ln_vision = nn.LayerNorm(shape.encoder_width, eps=1e-5) if shape.image_norm else nn.Identity()
        self.image_projection = nn.Linear(shape.encoder_width, image) if image else nn.Identity()
        self.word_projection = nn.Linear(words, d) if words != d else nn.Identity()
        embeddings = {
            "word_embeddings": nn.Embedding(shape.vocab, words),
            "position_embeddings": nn.Embedding(shape.max_positions, d),
            "LayerNorm": nn.LayerNorm(d, eps=shape.eps),
        }
        encoder = {"layer": nn.ModuleList([Layer(shape, i) for i in range(shape.layers)])}
        self.bert = nn.ModuleDict({"embeddings": nn.ModuleDict(embeddings), "encoder": nn.ModuleDict(encoder)})
        self.query_tokens = nn.Parameter(torch.randn(1, shape.queries, d) * 0.02)
        self.prompt_tokens = nn.Parameter(torch.randn(1, shape.queries, d) * 0.02)
        self.text_proj = nn.Linear(d, shape.projection)
        self.vision_proj = nn.Linear(d, shape.projection)
        self.temp = nn.Parameter(torch.tensor(0.07))

    def positions(self, count):
        return self.bert["embeddings"]["position_embeddings"].weight[:count]

    def run(self, x, mask, image):
        e = self.bert["embeddings"]
        x = F.dropout(e["LayerNorm"](x), self.shape.dropout, self.training)
        bias = None if mask is None else (1.0 - mask.to(x.dtype))[:, None, None, :] * -10000.0
        for layer in self.bert["encoder"]["layer"]:
            x = layer(x, bias, image, self.shape.queries)
        return x

    def words(self, ids):
        return self.word_projection(self.bert["embeddings"]["word_embeddings"](ids))

    def look(self, image):
        """Image tokens, straight from the encoder, to what cross-attention sees."""
        return self.image_projection(self.ln_vision(image))

    def with_queries(self, tokens, ids, mask, image):
        text = self.words(ids) + self.positions(ids.shape[1])
        tokens = tokens.expand(ids.shape[0], -1, -1)
        full = torch.cat([torch.ones_like(mask[:, :1]).expand(-1, tokens.shape[1]), mask], 1)
        return self.run(torch.cat([tokens, text], 1), full, image)

    def prompt(self, ids, mask, image):
        """[B, N, D]: the implicit prototype of reference image and text."""
        return self.with_queries(self.query_tokens, ids, mask, self.look(image))[:, : self.shape.queries]

    def read(self, prompt, ids, mask):
        hidden = self.with_queries(prompt, ids, mask, None)
        return F.normalize(self.text_proj(hidden[:, : self.shape.queries + 1].mean(1)), dim=-1)

    def fuse(self, ids, mask, image):
        """[B, P]: both passes."""
        return self.read(self.prompt(ids, mask, image), ids, mask)

    def target(self, image):
        """[B, N, P]"""
        hidden = self.run(self.query_tokens.expand(image.shape[0], -1, -1), None, self.look(image))
        return F.normalize(self.vision_proj(hidden), dim=-1)

    def text_only(self, ids, mask):
        b, words = ids.shape[0], self.words(ids)
        x = torch.cat([words[:, :1], self.prompt_tokens.expand(b, -1, -1), words[:, 1:]], 1)
        full = torch.cat([torch.ones_like(mask[:, :1]).expand(-1, self.shape.queries), mask], 1)
        hidden = self.run(x + self.positions(x.shape[1]), full, None)
        return F.normalize(self.text_proj(hidden[:, 0]), dim=-1)

    def loss(self, batch, smoothing=0.1):
        """q2t + 0.4 t2t + 0.5 p2p over a batch: ids, mask, reference tokens, target tokens, reverse ids and mask."""
        ids, mask, reference, image, ids_reverse, mask_reverse = batch
        labels = torch.arange(ids.shape[0])
        target = self.target(image)
        prompt = self.prompt(ids, mask, reference)
        with torch.no_grad():
            reverse = self.prompt(ids_reverse, mask_reverse, image)

        def score(q):
            return torch.einsum("qp,tnp->qtn", q, target).max(-1).values / self.temp

        q2t = F.cross_entropy(score(self.read(prompt, ids, mask)), labels, label_smoothing=smoothing)
        t2t = F.cross_entropy(score(self.text_only(ids, mask)), labels)
        p2p = F.mse_loss(prompt.mean(1), reverse.mean(1))
        return q2t + 0.4 * t2t + 0.5 * p2p


def read_safetensors(path):
    data = pathlib.Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    kinds = {"F16": np.float16, "F32": np.float32, "I32": np.int32}
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        start, end = entry["data_offsets"]
        array = np.frombuffer(data[8 + size + start : 8 + size + end], kinds[entry["dtype"]])
        tensors[name] = torch.from_numpy(array.reshape(entry["shape"]).copy())
    return tensors


def check_qformer():
    tensors = read_safetensors(GOLDEN / "qformer.safetensors")
    notes = json.loads((GOLDEN / "qformer.json").read_text())
    c = notes["config"]
    model = QFormer(
        Shape(
            **{k: c[k] for k in ["width", "heads", "intermediate", "layers", "cross_attention_freq", "encoder_width"]},
            **{k: c[k] for k in ["queries", "projection", "vocab", "max_positions", "text_length", "image_tokens"]},
            dropout=0.0,
            image_norm=False,
        )
    )
    weights = {k: v for k, v in tensors.items() if not k.startswith(("input.", "out.", "grad."))}
    model.load_state_dict({k: v.float() for k, v in weights.items()})
    ids, mask, ids_reverse, mask_reverse = (
        tensors["input." + k].long() for k in ["ids", "mask", "ids_rev", "mask_rev"]
    )
    reference, image = tensors["input.image_ref"].float(), tensors["input.image_tgt"].float()
    model.eval()
    loss = model.loss((ids, mask, reference, image, ids_reverse, mask_reverse))
    loss.backward()
    differences = {
        "fuse": model.fuse(ids, mask, reference) - tensors["out.f_q.mean.real"],
        "target": model.target(image) - tensors["out.target"],
        "text_only": model.text_only(ids, mask) - tensors["out.f_m"],
        "loss": loss - notes["losses"]["total.ptha"],
        "gradient of query_tokens": model.query_tokens.grad - tensors["grad.query_tokens"],
    }
    for name, value in differences.items():
        worst = value.abs().max().item()
        print(f"{name}: largest difference from the golden values {worst:.1e}")
        assert worst < 1e-5, name


def check_efficientnet(weights):
    golden = json.loads((GOLDEN / "efficientnet.json").read_text())
    model = EfficientNetLite0().load_checkpoint(torch.load(weights, map_location="cpu", weights_only=True)).eval()
    c, y, x = torch.arange(3).view(3, 1, 1), torch.arange(224).view(1, 224, 1), torch.arange(224).view(1, 1, 224)
    p = (x * 7 + y * 13 + c * 29 + (x * y) // 16) % 256
    pixels = ((p - 127).float() / 128).unsqueeze(0)
    with torch.no_grad():
        for name, net in [("plain", model), ("folded", model.folded())]:
            grid, worst = net(pixels)[0], 0.0
            for (row, column), values in zip(golden["grid"]["positions"], golden["grid"]["values"]):
                worst = max(worst, (grid[:, row, column] - torch.tensor(values)).abs().max().item())
            print(f"encode, {name}: largest difference from the golden values {worst:.1e}")
            assert worst < 1e-3, name


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=pathlib.Path, help="efficientnet-lite0-57934424.pth, to check the encoder too")
    args = parser.parse_args()
    check_qformer()
    if args.weights:
        check_efficientnet(args.weights)
