#!/usr/bin/env python3
"""PyTorch CPU timings for the shapes of this project's benches. One JSON line a measurement.

    python bench/peers/torch_peer.py [--config model/configs/web-s.json] [--threads 2] [--only encode,fuse]

Each line: name, peer, shape, median_ms, min_ms, max_ms, runs, threads; `cpu_ms`, the mean processor time of a run, all
threads together (with `--threads 1` it holds on a busy machine too), and `load`, the machine's load average, which says
whether to believe the rest. Random weights: time does not depend on them.
`encode` EfficientNet-Lite0 feature grid, batch 1, 224 px: eager as upstream runs it, and with batch norms folded and
channels-last memory. `fuse` both Q-Former passes, batch 1. `target` image only, batch 1. `train` forward, backward and
AdamW of q2t + t2t + p2p on cached image tokens. The graphs are those of `peer_model.py`, which checks them.
"""

import argparse
import json
import os
import statistics
import time

import torch

from peer_model import PRESETS, EfficientNetLite0, QFormer, Shape


def measure(name, peer, shape, threads, step, seconds, warmup=3, least=5):
    for _ in range(warmup):
        step()
    times, used, start = [], time.process_time(), time.perf_counter()
    while len(times) < least or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        step()
        times.append((time.perf_counter() - before) * 1e3)
    busy = (time.process_time() - used) * 1e3 / len(times)
    record = {
        "name": name,
        "peer": peer,
        "shape": shape,
        "median_ms": round(statistics.median(times), 3),
        "min_ms": round(min(times), 3),
        "max_ms": round(max(times), 3),
        "cpu_ms": round(busy, 3),
        "runs": len(times),
        "threads": threads,
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(record), flush=True)


def make_batch(shape, size):
    generator = torch.Generator().manual_seed(1)
    tokens = lambda: torch.randn(size, shape.image_tokens, shape.encoder_width, generator=generator)
    mask = torch.zeros(size, shape.text_length, dtype=torch.long)
    mask[:, : shape.text_length * 3 // 8] = 1
    ids = torch.randint(1, shape.vocab, mask.shape, generator=generator) * mask
    return ids, mask, tokens(), tokens(), ids.flip(0), mask


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default=PRESETS / "web-s.json")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long to repeat each measurement")
    parser.add_argument("--batches", type=int, nargs="*", default=[32, 128])
    parser.add_argument("--only", default="encode,fuse,target,train")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    only = args.only.split(",")
    shape = Shape.from_config(args.config)
    peer = f"torch {torch.__version__}"

    model = QFormer(shape).eval()
    with torch.inference_mode():
        if "encode" in only:
            net, pixels = EfficientNetLite0().eval(), torch.randn(1, 3, 224, 224)
            measure("encode", peer, "1x3x224x224", args.threads, lambda: net(pixels), args.seconds)
            net = net.folded().to(memory_format=torch.channels_last)
            last = pixels.to(memory_format=torch.channels_last)
            best = peer + ", folded, channels-last"
            measure("encode", best, "1x3x224x224", args.threads, lambda: net(last), args.seconds)
        size = f"D={shape.width} layers={shape.layers} N={shape.queries} L={shape.text_length} T={shape.image_tokens}"
        ids, mask, image = make_batch(shape, 1)[:3]
        if "fuse" in only:
            measure("fuse", peer, "B=1 " + size, args.threads, lambda: model.fuse(ids, mask, image), args.seconds)
        if "target" in only:
            measure("target", peer, "B=1 " + size, args.threads, lambda: model.target(image), args.seconds)

    if "train" in only:
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(0.9, 0.98), eps=1e-7, weight_decay=0.05)
        for count in args.batches:
            batch = make_batch(shape, count)

            def step():
                optimizer.zero_grad(set_to_none=True)
                model.loss(batch).backward()
                optimizer.step()

            measure("train", peer, f"B={count} " + size, args.threads, step, args.seconds, warmup=1, least=3)


if __name__ == "__main__":
    main()
