"""Metrics of FashionIQ, CIRCO and GeneCIS by their published evaluators, on random rankings with many ties.

    python tests/golden/evaluators.py        writes tests/golden/evaluators.json

What each evaluator does, in numpy:
- FashionIQ (as CLIP4Cir and SPRC evaluate it): distances 1 - similarity to the category's whole gallery, the reference
  among it; the names in the order of a stable argsort; R@K is the share of queries whose target is among the first K;
  the published total is the mean over the categories.
- CIRCO (src/evaluation.py): precision at each position that holds a ground truth, summed over the first K, divided by
  min(number of ground truths, K); the mean over queries is mAP@K. Recall counts the target image alone.
- GeneCIS (eval/eval_functions.py): each query ranks [target, *gallery] by falling similarity; R@K asks whether index 0 is
  among the first K; the total is the mean over the tasks.

Scores come from a few levels, so that ties are frequent. CIRR's golden values are trainer/tests/golden/metrics.py's.
"""

import json
import pathlib

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


path = ROOT / "tests/golden/evaluators.json"
golden = {"fashioniq": fashioniq(), "circo": circo(), "genecis": genecis()}
path.write_text(json.dumps(golden, separators=(",", ":")).replace("},{", "},\n{") + "\n")
print(path, {name: part["total"] for name, part in golden.items()})
