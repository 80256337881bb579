"""How similar copies are to their originals, and photos of different things to each other, in a bundle of `copies.py`'s folder.

    python bench/near-duplicates/measure.py BUNDLE [DEPTH]

Similarity is the command's: the cosine of mean image tokens, as `index` keeps them beside the bundle; and, to compare, that of mean
target tokens, as the gallery keeps them. Two photos are of different things when the first DEPTH (default 3) folders below `original`
differ. Needs numpy.
"""

import json
import sys
from pathlib import Path

import numpy as np

THRESHOLDS = [0.8, 0.84, 0.86, 0.88, 0.9, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98]
HEADER = 32


def chunk(path):
    """Values [images, N, P] of a gallery chunk."""
    body = path.read_bytes()
    count, n, p = np.frombuffer(body[12:24], "<u4")
    scales = np.frombuffer(body[HEADER : HEADER + 4 * count * n], "<f4").reshape(count, n, 1)
    return np.frombuffer(body[HEADER + 4 * count * n :], "i1").reshape(count, n, p) * scales


def unit(values):
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def gallery(root):
    """Ids, mean image tokens [images, C] and mean target tokens [images, P], both L2-normalised."""
    manifest = json.loads((root / "bundle.json").read_text())["gallery"]
    files = [root / entry["path"] for entry in manifest["metadata"]]
    ids = [image["id"] for file in files for image in json.loads(file.read_text())]
    targets = np.concatenate([chunk(root / entry["path"]).mean(1) for entry in manifest["chunks"]])
    looks = chunk(root.parent / f".{root.name}.index.looks").mean(1)
    return ids, unit(looks), unit(targets)


def table(title, rows):
    """Shares of each row's values that reach each threshold."""
    print(f"\n{title}")
    print("| | count | median | " + " | ".join(str(t) for t in THRESHOLDS) + " |")
    print("|---|---|---|" + "---|" * len(THRESHOLDS))
    for name, values in rows:
        shares = " | ".join(f"{100 * (values >= t).mean():.1f}" for t in THRESHOLDS)
        print(f"| {name} | {len(values)} | {np.median(values):.4f} | {shares} |")


def figures(name, parts, vectors, depth):
    """Both tables of one kind of similarity."""
    stem = lambda part: "/".join(part[1:]).rsplit(".", 1)[0]
    originals = {stem(part): at for at, part in enumerate(parts) if part[0] == "original"}
    kinds = sorted({part[0] for part in parts} - {"original"})
    to_original = lambda at: vectors[at] @ vectors[originals[stem(parts[at])]]
    of = lambda kind: np.array([to_original(at) for at, part in enumerate(parts) if part[0] == kind])
    table(f"{name}: copies, % at least so similar to their original", [(kind, of(kind)) for kind in kinds])
    places = np.array(sorted(originals.values()))
    things = np.array(["/".join(parts[at][1:-1][:depth]) for at in places])
    own, other, same = vectors[places], [], []
    for start in range(0, len(places), 512):
        near = own[start : start + 512] @ own.T
        near[np.arange(len(near)), start + np.arange(len(near))] = -1
        differs = things[start : start + 512, None] != things[None]
        other.append(np.where(differs, near, -1).max(1))
        same.append(np.where(differs, -1, near).max(1))
    rows = [("nearest of another thing", np.concatenate(other)), ("nearest of the same thing", np.concatenate(same))]
    table(f"{name}: originals, % whose nearest other photo is at least so similar", rows)


def main(root, depth=3):
    ids, looks, targets = gallery(root)
    parts = [id.split("/") for id in ids]
    figures("mean image tokens", parts, looks, depth)
    figures("mean target tokens", parts, targets, depth)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(depth) for depth in sys.argv[2:3]))
