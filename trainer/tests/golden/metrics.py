"""CIRR's validation metrics by their published definition, on made-up scores: python3 metrics.py > metrics.json

The definition: distances = 1 - scores; a stable argsort of them; the reference is removed; R@K counts queries whose
first K names hold a right target; R_subset@K does so on the names that are members of the query's set.
Scores come from a few levels, so that ties are frequent, and some queries have several right targets.
Only the standard library is used.
"""
import json
import random

random.seed(7)
GALLERY, QUERIES = 70, 240
queries, hits = [], {}
for _ in range(QUERIES):
    names = random.sample(range(GALLERY), 6)
    reference, target = names[0], names[1]
    targets = [target] + ([random.randrange(GALLERY)] if random.random() < 0.3 else [])
    targets = [t for t in targets if t != reference]
    random.shuffle(names)
    scores = [random.randrange(24) / 8 for _ in range(GALLERY)]
    scores[target] += random.choice([0, 0.5, 1, 2])
    queries.append({"scores": scores, "reference": reference, "targets": targets, "members": names})

    distances = [1 - s for s in scores]
    ranking = [i for i in sorted(range(GALLERY), key=distances.__getitem__) if i != reference]
    group = [i for i in ranking if i in names]
    for k in (1, 5, 10, 50):
        hits[f"r{k}"] = hits.get(f"r{k}", 0) + any(t in ranking[:k] for t in targets)
    for k in (1, 2, 3):
        hits[f"rs{k}"] = hits.get(f"rs{k}", 0) + any(t in group[:k] for t in targets)

recall = {name: 100 * count / QUERIES for name, count in hits.items()}
recall["avg"] = (recall["r5"] + recall["rs1"]) / 2
print(json.dumps({"recall": recall, "queries": queries}))
