#!/usr/bin/env python3
"""Golden values of Krippendorff's alpha (the package krippendorff, by the author's definition) on made verdicts of readers.

agreement.json: a row a case: what it is, the readers' verdicts from 1 to 5 (null: none), alpha at the ordinal and at the interval level.
"""

import json
import pathlib
import random

import krippendorff
import numpy as np


def cases():
    # Krippendorff's own example of four readers and twelve pairs.
    none = None
    yield "Krippendorff's example", [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, none, none, none],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, none, 3],
        [none, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, none],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, none],
    ]
    yield "two who say the same", [[1, 2, 5, 4], [1, 2, 5, 4]]
    yield "two who say the opposite", [[1, 2, 5, 4], [5, 4, 1, 2]]
    yield "one apart", [[4, 4, 5, 3, 4], [5, 4, 4, 4, 4]]
    draw = random.Random(7)
    truth = [draw.choice([2, 3, 4, 4, 5]) for _ in range(216)]
    near = lambda value: min(5, max(1, value + draw.choice([-1, 0, 0, 0, 1])))
    yield "three of 216 pairs", [[near(v) if draw.random() < 0.95 else None for v in truth] for _ in range(3)]
    yield "chance", [[draw.randint(1, 5) for _ in range(50)] for _ in range(3)]


def main():
    rows = []
    for name, readers in cases():
        data = np.array([[np.nan if v is None else v for v in reader] for reader in readers], dtype=float)
        alpha = lambda level: float(krippendorff.alpha(data, level_of_measurement=level, value_domain=[1, 2, 3, 4, 5]))
        rows.append([name, readers, alpha("ordinal"), alpha("interval")])
    lines = ",\n".join(json.dumps(row) for row in rows)
    pathlib.Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n")
    for row in rows:
        print(row[0], row[2], row[3])


if __name__ == "__main__":
    main()
