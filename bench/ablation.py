"""Mean and sample deviation over seeds of the runs that bench/ablation made: ablation.py OUT"""
import collections
import json
import pathlib
import statistics
import sys

columns = ["r1", "r5", "r10", "rs1", "avg"]
rows = collections.defaultdict(list)
for path in sorted(pathlib.Path(sys.argv[1]).glob("*/test.json")):
    name, _, seed = path.parent.name.rpartition("-")
    overall = json.loads(path.read_text())["sections"][0]["rows"]
    composed = next(row["recall"] for row in overall if row["method"] == "composed")
    rows[name].append((int(seed), composed))

print("| losses | seeds | R@1 | R@5 | R@10 | R_subset@1 | Avg |")
print("|---|---|---|---|---|---|---|")
for name in ["q2t", "q2t+t2t", "q2t+p2p", "all"]:
    if name not in rows:
        continue
    cells = []
    for column in columns:
        values = [recall[column] for _, recall in rows[name]]
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        cells.append(f"{statistics.mean(values):.1f}{spread}")
    seeds = ", ".join(str(seed) for seed, _ in sorted(rows[name]))
    print(f"| {name} | {seeds} | " + " | ".join(cells) + " |")
