"""FashionBLIP-2's Table 5 or Figure 5, mean and sample deviation over seeds: fashion_table.py table|figure FOLDER TRIPLETS.

Runs are FOLDER/stage1/NAME-SEED and FOLDER/stage2/NAME-SEED; a figure is that of a finished run's last validation. TRIPLETS is the
number of stage 1's.
"""
import collections
import json
import pathlib
import statistics
import sys

COLUMNS = {"R@1": "r1", "R@10": "r10", "R@50": "r50"}
ROWS = {"global": "global", "adapters": "+ adapters", "matching": "+ matching", "ctr": "+ L_CTR"}

part, folder, triplets = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])


def runs(stage):
    """NAME: {seed: figures} of the runs that are finished."""
    found = collections.defaultdict(dict)
    for path in (folder / stage).glob("*/metrics.jsonl"):
        name, _, seed = path.parent.name.rpartition("-")
        lines = [json.loads(line) for line in path.read_text().splitlines() if '"figures"' in line]
        if lines and (path.parent / "final.safetensors").exists():
            found[name][int(seed)] = lines[-1]["figures"]
    return found


def cells(seeds):
    for key in COLUMNS.values():
        values = [seeds[seed][key] for seed in sorted(seeds)]
        if not values:
            yield "–"
        elif len(values) == 1:
            yield f"{values[0]:.1f}"
        else:
            yield f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


stages = [runs("stage1"), runs("stage2")]
if part == "table":
    labels = ROWS
else:
    shares = [name for name in {**stages[0], **stages[1]} if name.startswith("share-")]
    labels = {name: str(triplets * int(name[6:]) // 100) for name in sorted(shares, key=lambda name: int(name[6:]))}
    labels["ctr"] = str(triplets)
print(f"| {'row' if part == 'table' else 'triplets'} | seeds | " + " | ".join(f"stage 1: {c}" for c in COLUMNS) + " | "
      + " | ".join(f"fine-tuned: {c}" for c in COLUMNS) + " |")
print("|---" * (2 + 2 * len(COLUMNS)) + "|")
for name, label in labels.items():
    seeds = sorted(set(stages[0][name]) & set(stages[1][name])) or sorted(stages[0][name])
    line = [cell for stage in stages for cell in cells(stage[name])]
    print(f"| {label} | {', '.join(map(str, seeds))} | " + " | ".join(line) + " |")
