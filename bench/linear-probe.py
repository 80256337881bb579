#!/usr/bin/env python3
"""How well classes are told from the frozen image encoder alone: logistic regression on its pooled tokens.

    thisbut features PHOTOS --preset web-xs --out photos.features
    bench/linear-probe.py photos.features --train train/ --test validation/ [--depth 1]

An image's features are the mean of its tokens, each scaled to mean 0 and deviation 1 over the training images. Its class is a folder
of its name: the one at --depth, counted from 0. The weight of L2 is the best of five on every fifth training image, held out; then
all training images count. Prints the share of the test images that are told right, with Wilson's interval of 95 %. Nothing is drawn,
so there is no seed. Needs numpy.
"""

import argparse
import json
import math
import pathlib

import numpy as np

WEIGHTS = [1e-3, 1e-2, 1e-1, 1.0, 10.0]
STEPS = 400
DTYPES = {"f32": "<f4", "f16": "<f2"}


def read(path):
    """Names, and the mean of each image's tokens [images, C]; the layout is that of `trainer/src/features/store.rs`."""
    content = path.read_bytes()
    if content[:8] != b"TBUTFEA2":
        raise SystemExit(f"{path}: is no feature cache; make one with `thisbut features`")
    length = int.from_bytes(content[-8:], "little")
    header = json.loads(content[-8 - length:-8])
    names, tokens, width, store = header["names"], header["tokens"], header["width"], header["store"]
    records = content[64:-8 - length]
    if store == "int8":
        records = np.frombuffer(records, np.uint8).reshape(len(names), tokens * (4 + width))
        scales = np.ascontiguousarray(records[:, :4 * tokens]).view("<f4")
        codes = records[:, 4 * tokens:].view(np.int8).reshape(len(names), tokens, width)
        return names, np.einsum("it,itc->ic", scales, codes) / tokens
    values = np.frombuffer(records, DTYPES[store]).reshape(len(names), tokens, width)
    return names, values.mean(axis=1, dtype=np.float64)


def fit(x, y, classes, weight):
    """Multinomial logistic regression with L2, by Nesterov's accelerated gradient from zero; [C + 1, classes]."""
    x = np.hstack([x, np.ones((len(x), 1), x.dtype)])
    wanted = np.eye(classes, dtype=x.dtype)[y]
    step = 1 / (0.5 * np.linalg.eigvalsh(x.T @ x)[-1] / len(x) + weight)
    found = ahead = np.zeros((x.shape[1], classes), x.dtype)
    decay = np.full((x.shape[1], 1), weight, x.dtype)
    decay[-1] = 0
    for at in range(STEPS):
        scores = x @ ahead
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        after = ahead - step * (x.T @ (shares - wanted) / len(x) + decay * ahead)
        ahead, found = after + at / (at + 3) * (after - found), after
    return found


def right(model, x, y):
    return (x @ model[:-1] + model[-1]).argmax(axis=1) == y


def wilson(hits, count, z=1.959964):
    share, spread = hits / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return middle - half, middle + half


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("features", type=pathlib.Path, help="a cache of `thisbut features`")
    parser.add_argument("--train", required=True, help="what the names of training images begin with")
    parser.add_argument("--test", required=True, help="what the names of test images begin with")
    parser.add_argument("--depth", type=int, default=1, help="which folder of a name is the class, from 0")
    args = parser.parse_args()
    names, features = read(args.features)
    sides = [[at for at, name in enumerate(names) if name.startswith(begin)] for begin in (args.train, args.test)]
    if not all(sides):
        raise SystemExit(f"{args.features}: no image begins with {args.train!r}, or none with {args.test!r}")
    labels = [name.split("/")[args.depth] for name in names]
    classes = sorted({labels[at] for at in sides[0]})
    unknown = {labels[at] for at in sides[1]} - set(classes)
    if unknown:
        raise SystemExit(f"no training image is of {', '.join(sorted(unknown))}")
    y = np.array([classes.index(label) if label in classes else -1 for label in labels])
    mean, spread = features[sides[0]].mean(axis=0), features[sides[0]].std(axis=0) + 1e-8
    (train, test), x = map(np.array, sides), ((features - mean) / spread).astype(np.float32)
    held = np.arange(len(train)) % 5 == 0
    tried = {w: right(fit(x[train[~held]], y[train[~held]], len(classes), w), x[train[held]], y[train[held]]).mean() for w in WEIGHTS}
    best = max(tried, key=tried.get)
    hits, count = int(right(fit(x[train], y[train], len(classes), best), x[test], y[test]).sum()), len(test)
    low, high = wilson(hits, count)
    print(f"{len(classes)} classes, {len(train)} training images, L2 {best:g} (held out: {100 * tried[best]:.1f} %)")
    print(f"{hits} of {count} right: {100 * hits / count:.1f} % (95 %: {100 * low:.1f} to {100 * high:.1f})")


if __name__ == "__main__":
    main()
