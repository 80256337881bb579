"""Mean and sample deviation over seeds of the last validation of each run: hycir_table.py FOLDER, runs are FOLDER/NAME-SEED."""
import collections
import json
import pathlib
import statistics
import sys

COLUMNS = {"R@1": "r1", "R@5": "r5", "R@10": "r10", "R@50": "r50", "mean R": "mean", "R_subset@1": "rs1"}
ORDER = ["zs-4", "triplet-4", "hybrid-1", "hybrid-2", "hybrid-4", "hybrid-8", "syncir-1", "syncir-filtered-1"]

runs = collections.defaultdict(dict)
for path in pathlib.Path(sys.argv[1]).glob("*/metrics.jsonl"):
    name, _, seed = path.parent.name.rpartition("-")
    found = [json.loads(line) for line in path.read_text().splitlines() if '"figures"' in line]
    if name in ORDER and found:
        runs[name][int(seed)] = found[-1]["figures"]
print("| run | seeds | " + " | ".join(COLUMNS) + " |")
print("|---" * (2 + len(COLUMNS)) + "|")
for name in sorted(runs, key=ORDER.index):
    seeds, cells = runs[name], []
    for key in COLUMNS.values():
        values = [seeds[seed][key] for seed in sorted(seeds)]
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        cells.append(f"{statistics.mean(values):.1f}{spread}")
    print(f"| {name} | {', '.join(map(str, sorted(seeds)))} | " + " | ".join(cells) + " |")
