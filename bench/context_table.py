"""R@1 and R@10 of runs, apart by how many changes a text asks for: context_table.py FOLDER NAME…, runs are FOLDER/NAME-SEED/val.jsonl.

Mean and sample deviation over seeds. A row of val.jsonl is one query of `thisbut evaluate --per-query`: the zero-based rank of its best right
target, and the collection's kind of change.
"""
import json
import pathlib
import statistics
import sys

PARTS = {"one change": 1, "two": 2, "three": 3}


def parts(kind):
    return {"two": 2, "three": 3}.get(kind.removeprefix("hand-"), 1)


def figures(path):
    """(recall's name, changes): per cent; and how many queries each number of changes has."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    out, counts = {}, {}
    for name, number in [("all", None), *PARTS.items()]:
        ranks = [row["rank"] for row in rows if number in (None, parts(row["kind"]))]
        counts[name] = len(ranks)
        for k in (1, 10):
            found = sum(rank is not None and rank < k for rank in ranks)
            out[name, k] = 100 * found / len(ranks) if ranks else float("nan")
    return out, counts


folder, names = pathlib.Path(sys.argv[1]), list(dict.fromkeys(sys.argv[2:]))
columns, lines, sizes = [(name, k) for name in ["all", *PARTS] for k in (1, 10)], [], set()
for name in names:
    found = {int(path.parent.name.rpartition("-")[2]): figures(path) for path in folder.glob(f"{name}-*/val.jsonl")
             if path.parent.name.rpartition("-")[0] == name}
    sizes.update(tuple(counts.items()) for _, counts in found.values())
    cells = []
    for column in columns:
        values = [found[seed][0][column] for seed in sorted(found)]
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        cells.append(f"{statistics.mean(values):.1f}{spread}" if values else "–")
    lines.append(f"| {name} | {', '.join(map(str, sorted(found)))} | " + " | ".join(cells) + " |")
for counts in sorted(sizes):
    print("queries: " + ", ".join(f"{name} {count}" for name, count in counts))
print("\n| run | seeds | " + " | ".join(f"{name}, R@{k}" for name, k in columns) + " |")
print("|---" * (2 + len(columns)) + "|")
print("\n".join(lines))
