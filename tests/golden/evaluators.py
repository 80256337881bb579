"""Metrics of CIRR, FashionIQ, CIRCO and GeneCIS by their published evaluators, on random rankings with many ties.

    python tests/golden/evaluators.py --sprc DIR        writes tests/golden/evaluators.json

DIR is a checkout of github.com/chunmeifeng/SPRC (made from revision 2935a5397732260d1db6fa577e5926f963e36f0f with torch
2.15.0). CIRR's figures come from that code itself: `src/validate_blip.py`, `compute_cirr_val_metrics`, imported with everything
around it stubbed; only `argsort` is made stable, so that ties have one order. It knows one target a query, `target_hard`. The
queries have soft targets too: `all` holds the figures that count them.

What the other evaluators do, in numpy:
- FashionIQ (as CLIP4Cir and SPRC evaluate it): distances 1 - similarity to the category's whole gallery, the reference
  among it; the names in the order of a stable argsort; R@K is the share of queries whose target is among the first K;
  the published total is the mean over the categories.
- CIRCO (src/evaluation.py): precision at each position that holds a ground truth, summed over the first K, divided by
  min(number of ground truths, K); the mean over queries is mAP@K. Recall counts the target image alone.
- GeneCIS (eval/eval_functions.py): each query ranks [target, *gallery] by falling similarity; R@K asks whether index 0 is
  among the first K; the total is the mean over the tasks.

Scores come from a few levels, so that ties are frequent.
"""

import argparse
import json
import pathlib
import sys
import types
from unittest import mock

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
rng = np.random.default_rng(11)


def scores(size, lifted):
    """Scores of `size` images in eighths; `lifted` are right answers, which stand a little higher."""
    out = rng.integers(0, 20, size) / 8
    for image in lifted:
        out[image] += rng.choice([0, 0.5, 1, 1.5])
    return out


def mean_of(figures):
    return {name: float(np.mean([f[name] for f in figures.values()])) for name in next(iter(figures.values()))}


def fashioniq():
    size, queries, figures, pools = 120, [], {}, {}
    for category in ("dress", "shirt", "toptee"):
        pool = rng.permutation(size)[:70]
        pools[category] = pool.tolist()
        hits = {10: [], 50: []}
        for _ in range(rng.integers(20, 40)):
            reference, target = rng.choice(pool, 2, replace=False)
            values = scores(size, [target])
            names = pool[np.argsort(1 - values[pool], kind="stable")]
            labels = names == target
            assert labels.sum() == 1
            for k, hit in hits.items():
                hit.append(labels[:k].sum())
            queries.append({"group": category, "reference": int(reference), "targets": [int(target)], "scores": values.tolist()})
        figures[category] = {f"r{k}": 100 * float(np.mean(hit)) for k, hit in hits.items()}
        figures[category]["avg"] = (figures[category]["r10"] + figures[category]["r50"]) / 2
    return {"pools": pools, "queries": queries, "figures": figures, "total": mean_of(figures)}


def circo():
    size, queries, ranks = 90, [], (5, 10, 25, 50)
    aps, recalls = {k: [] for k in ranks}, {k: [] for k in ranks}
    for _ in range(60):
        truths = rng.choice(size, rng.integers(1, 24), replace=False)
        values = scores(size, truths)
        predictions = np.argsort(-values, kind="stable")[:50]
        labels = np.isin(predictions, truths)
        precisions = np.cumsum(labels) * labels / np.arange(1, len(labels) + 1)
        for k in ranks:
            aps[k].append(float(np.sum(precisions[:k]) / min(len(truths), k)))
            recalls[k].append(float(np.sum((predictions == truths[0])[:k])))
        reference = int(rng.integers(size))
        queries.append({"group": None, "reference": reference, "targets": truths.tolist(), "scores": values.tolist()})
    total = {f"map{k}": 100 * float(np.mean(aps[k])) for k in ranks}
    total |= {f"r{k}": 100 * float(np.mean(recalls[k])) for k in ranks}
    return {"pools": {}, "queries": queries, "figures": {}, "total": total}


def genecis():
    size, queries, figures = 60, [], {}
    for task in ("change_object", "focus_object"):
        hits = {1: [], 2: [], 3: []}
        for _ in range(rng.integers(30, 50)):
            images = rng.choice(size, 16, replace=False)
            reference, target, pool = images[0], images[1], images[1:]
            values = scores(size, [target])
            order = np.argsort(-values[pool], kind="stable")
            for k, hit in hits.items():
                hit.append(0 in order[:k])
            queries.append({"group": task, "reference": int(reference), "targets": [int(target)], "pool": pool.tolist(), "scores": values.tolist()})
        figures[task] = {f"r{k}": 100 * float(np.mean(hit)) for k, hit in hits.items()}
    return {"pools": {}, "queries": queries, "figures": figures, "total": mean_of(figures)}


def upstream(folder):
    """SPRC's validate_blip.py; what it imports beside torch and numpy takes no part in the counting."""
    for name in ["lavis", "lavis.models", "data_utils", "utils", "cv2", "tqdm"]:
        sys.modules[name] = mock.MagicMock()
    module = types.ModuleType("validate_blip")
    exec(compile((folder / "src/validate_blip.py").read_text(), "validate_blip.py", "exec"), module.__dict__)
    return module


def cirr(folder):
    import torch

    own = np.random.default_rng(13)
    size, queries = 70, []
    for _ in range(240):
        names = own.permutation(size)[:6]
        reference, hard = int(names[0]), int(names[1])
        # Soft targets inside the subset and outside it; never the reference.
        soft = [int(i) for i in own.permutation(size)[: own.integers(0, 3)] if i not in (reference, hard)]
        if own.random() < 0.3:
            soft = [int(names[2])] + [i for i in soft if i != names[2]]
        values = own.integers(0, 24, size) / 8
        values[hard] += own.choice([0, 0.5, 1, 2])
        for image in soft:
            values[image] += own.choice([0, 1, 2.5])
        members = own.permutation(names).tolist()
        queries.append({"reference": reference, "targets": [hard, *soft], "members": members, "scores": values.tolist()})
    evaluator = upstream(folder)
    label = [f"i{i}" for i in range(size)]
    given = (
        torch.tensor([q["scores"] for q in queries], dtype=torch.float32),
        [label[q["reference"]] for q in queries],
        [label[q["targets"][0]] for q in queries],
        [[label[m] for m in q["members"] if m != q["reference"]] for q in queries],
        [],
    )
    evaluator.generate_cirr_val_predictions = lambda *_: given
    argsort = torch.argsort
    with mock.patch.object(torch, "argsort", lambda x, dim: argsort(x, dim=dim, stable=True)):
        found = evaluator.compute_cirr_val_metrics(None, None, None, label, None)
    keys, n = ["rs1", "rs2", "rs3", "r1", "r5", "r10", "r50"], len(queries)
    # The code divides in float32; the hits behind a figure are whole.
    total = {key: 100 * round(value * n / 100) / n for key, value in zip(keys, found)}
    assert all(abs(total[key] - value) < 1e-4 for key, value in zip(keys, found))
    hits = {key: 0 for key in keys}
    for query in queries:
        order = [int(i) for i in np.argsort(1 - np.array(query["scores"]), kind="stable") if i != query["reference"]]
        subset = [i for i in order if i in query["members"]]
        for key in keys:
            ranking, k = (subset, int(key[2:])) if key.startswith("rs") else (order, int(key[1:]))
            hits[key] += any(target in ranking[:k] for target in query["targets"])
    every = {key: 100 * count / n for key, count in hits.items()}
    for figures in (total, every):
        figures["avg"] = (figures["r5"] + figures["rs1"]) / 2
    return {"queries": queries, "total": total, "all": every}


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--sprc", type=pathlib.Path, required=True, help="checkout of chunmeifeng/SPRC")
path = ROOT / "tests/golden/evaluators.json"
golden = {"fashioniq": fashioniq(), "circo": circo(), "genecis": genecis(), "cirr": cirr(parser.parse_args().sprc)}
path.write_text(json.dumps(golden, separators=(",", ":")).replace("},{", "},\n{") + "\n")
print(path, {name: part["total"] for name, part in golden.items()})
