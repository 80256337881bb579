"""Mean and sample deviation over seeds: seeds.py FOLDER…, where runs are FOLDER/NAME-SEED/test.json.

NAME is the table's first column; with several folders their names come before it. A step of pretraining or fine-tuning that
has no test.json yet is left out.
"""
import collections
import json
import pathlib
import re
import statistics
import sys

# Column: the method and its figure.
COLUMNS = {
    "R@1": ("composed", "r1"),
    "R@5": ("composed", "r5"),
    "R@10": ("composed", "r10"),
    "R_subset@1": ("composed", "rs1"),
    "Avg": ("composed", "avg"),
    "text only, R@10": ("text-only", "r10"),
    "averaged, R@5": ("averaged", "r5"),
}
LOSSES = ["q2t", "q2t+t2t", "q2t+p2p", "all"]


def place(name):
    """The paper's order of losses; else numbers by value."""
    if name in LOSSES:
        return (0, LOSSES.index(name), "")
    number = re.search(r"\d+(\.\d+)?", name)
    return (1, float(number[0]) if number else 0.0, name)


folders = [pathlib.Path(folder) for folder in sys.argv[1:]]
print("| run | seeds | " + " | ".join(COLUMNS) + " |")
print("|---" * (2 + len(COLUMNS)) + "|")
for folder in folders:
    rows = collections.defaultdict(list)
    for path in folder.glob("*/test.json"):
        name, _, seed = path.parent.name.rpartition("-")
        overall = json.loads(path.read_text())["sections"][0]["rows"]
        rows[name].append((int(seed), {row["method"]: row["recall"] for row in overall}))
    for name in sorted(rows, key=place):
        cells = []
        for method, figure in COLUMNS.values():
            values = [found[method][figure] for _, found in rows[name]]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.1f}{spread}")
        seeds = ", ".join(str(seed) for seed, _ in sorted(rows[name]))
        label = name if len(folders) == 1 else f"{folder.name}: {name}"
        print(f"| {label} | {seeds} | " + " | ".join(cells) + " |")
