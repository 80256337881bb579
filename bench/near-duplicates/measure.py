"""How similar copies are to their originals, and photos of different things to each other, in a bundle of `copies.py`'s folder.

    python bench/near-duplicates/measure.py BUNDLE [DEPTH]

Similarity is the command's: the cosine of mean target tokens, as the gallery keeps them. Two photos are of different things when
the first DEPTH (default 3) folders below their split (`original/train`, `original/validation`) differ. Needs numpy.
"""

import json
import sys
from pathlib import Path

import numpy as np

THRESHOLDS = [0.9, 0.93, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.995]
HEADER = 32


def gallery(root):
    """Ids, and mean target tokens [images, P], L2-normalised."""
    manifest = json.loads((root / "bundle.json").read_text())["gallery"]
    n, p = manifest["tokens"], manifest["width"]
    rows, ids = [], []
    for chunk in manifest["chunks"]:
        body, count = (root / chunk["path"]).read_bytes()[HEADER:], chunk["count"]
        scales = np.frombuffer(body[: 4 * count * n], "<f4").reshape(count, n, 1)
        codes = np.frombuffer(body[4 * count * n :], "i1").reshape(count, n, p)
        rows.append((codes * scales).mean(1))
    for chunk in manifest["metadata"]:
        ids += [image["id"] for image in json.loads((root / chunk["path"]).read_text())]
    means = np.concatenate(rows)
    return ids, means / np.linalg.norm(means, axis=1, keepdims=True)


def table(title, rows):
    """Shares of each row's values that reach each threshold."""
    print(f"\n{title}")
    print("| | count | median | " + " | ".join(str(t) for t in THRESHOLDS) + " |")
    print("|---|---|---|" + "---|" * len(THRESHOLDS))
    for name, values in rows:
        shares = " | ".join(f"{100 * (values >= t).mean():.1f}" for t in THRESHOLDS)
        print(f"| {name} | {len(values)} | {np.median(values):.4f} | {shares} |")


def main(root, depth=3):
    ids, means = gallery(root)
    parts = [id.split("/") for id in ids]
    stem = lambda part: "/".join(part[1:]).rsplit(".", 1)[0]
    originals = {stem(part): at for at, part in enumerate(parts) if part[0] == "original"}
    kinds = sorted({part[0] for part in parts} - {"original"})
    of = lambda kind: np.array([means[at] @ means[originals[stem(part)]] for at, part in enumerate(parts) if part[0] == kind])
    table("copies, % at least so similar to their original", [(kind, of(kind)) for kind in kinds])

    places = np.array(sorted(originals.values()))
    things = np.array(["/".join(parts[at][2:-1][:depth]) for at in places])
    vectors = means[places]
    other, same = [], []
    for start in range(0, len(places), 512):
        near = vectors[start : start + 512] @ vectors.T
        near[np.arange(len(near)), start + np.arange(len(near))] = -1
        differs = things[start : start + 512, None] != things[None]
        other.append(np.where(differs, near, -1).max(1))
        same.append(np.where(differs, -1, near).max(1))
    rows = [("nearest of another thing", np.concatenate(other)), ("nearest of the same thing", np.concatenate(same))]
    table("originals, % whose nearest other photo is at least so similar", rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(depth) for depth in sys.argv[2:3]))
