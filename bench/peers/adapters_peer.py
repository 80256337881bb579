#!/usr/bin/env python3
"""PyTorch CPU timings of FashionBLIP-2's training step, adapters in a small ViT in the graph. One JSON line a measurement.

    python bench/peers/adapters_peer.py [--threads 2] [--seconds 3] [--batch 16]

The module is that of `tests/golden/matching.py`, which the parity tests compare this project with, in float32, at the shapes of
`trainer/examples/bench_adapters.rs`, and with PyTorch's fused attention and optimiser.
"""

import argparse
import pathlib
import sys

import torch
from torch.nn import functional as F

from torch_peer import measure

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "golden"))
import matching  # noqa: E402

matching.SIDE, matching.PATCH, matching.VISION, matching.LAYERS, matching.HEADS, matching.FACTOR = 112, 16, 192, 4, 4, 16
matching.WIDTH, matching.QUERIES, matching.POSITIONS, matching.ROWS, matching.ROW_WIDTH = 192, 16, 32, 6, 64
LENGTH = 16


def attend(query, key, value, bias):
    """As the module's own, by PyTorch's fused kernel."""
    def split(x):
        return x.unflatten(-1, (matching.HEADS, -1)).transpose(1, 2)
    mask = bias[:, None, None].expand(-1, -1, query.shape[1], -1)
    return F.scaled_dot_product_attention(split(query), split(key), split(value), mask).transpose(1, 2).flatten(2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    matching.attend = attend
    matching.PAIRS = [(2 * at, 2 * at + 1) for at in range(args.batch)]
    pixels = torch.randn(2 * args.batch, 3, matching.SIDE, matching.SIDE)
    ids = torch.randint(4, len(matching.WORDS), (args.batch, LENGTH))
    texts = captions = ids, torch.ones(args.batch, LENGTH)
    for name, ctr in [("stage 1", 1.0), ("stage 1 without L_CTR", 0.0)]:
        made = matching.randomised().float()
        for key, parameter in made.named_parameters():
            parameter.requires_grad_(not key.startswith("image_encoder.") or ".adapters." in key)
        optimizer = torch.optim.AdamW([p for p in made.parameters() if p.requires_grad], lr=1e-5, fused=True)

        def step():
            optimizer.zero_grad()
            images = made.image_norm(made.image_encoder["vit"](pixels))
            reference, target = images[0::2], images[1::2]
            xq = made.qformer(made.queries(args.batch), texts, reference)
            xc = made.qformer(made.queries(args.batch), None, target)
            others = [made.rows(xc, True)] + ([made.caption(captions, "queries", True)] if ctr else [])
            query, own = made.rows(xq, True), torch.arange(args.batch)
            sum(F.cross_entropy(matching.ROWS * query @ other.t(), own) for other in others).backward()
            optimizer.step()

        shape = f"B={args.batch} ViT 4x192, T=50, Q-Former 4x192"
        measure(name, f"torch {torch.__version__}", shape, args.threads, step, args.seconds)


if __name__ == "__main__":
    main()
