#!/usr/bin/env python3
"""Turns JSON lines of measurements into a Markdown table: python bench/table.py FILE..."""

import json
import sys

COLUMNS = ["name", "shape", "peer", "median_ms", "min_ms", "cpu_ms", "threads", "load"]


def main():
    lines = [line for path in sys.argv[1:] for line in open(path, encoding="utf-8") if line.startswith("{")]
    records = [json.loads(line) for line in lines]
    order = list(dict.fromkeys((r["name"].split(",")[0], r["shape"]) for r in records))
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for record in sorted(records, key=lambda r: order.index((r["name"].split(",")[0], r["shape"]))):
        print("| " + " | ".join(str(record.get(column, "")) for column in COLUMNS) + " |")


if __name__ == "__main__":
    main()
