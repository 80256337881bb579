#!/usr/bin/env python3
"""What the first ten answers are, by the attributes of a catalogue, from one file of `thisbut evaluate --per-query`.

    thisbut evaluate data/clothing --split val --checkpoint RUN/final.safetensors --per-query answers.jsonl
    bench/attributes.py data/clothing/images.json answers.jsonl [--prefix clothing/]

Of every query that changes one attribute: the share of the first ten that have the value asked for, and the share that keep every
other attribute that the reference has; the same for the text alone and the picture alone. Chance is the share in the gallery that
the answers come from. Intervals of 95 % are over references (bootstrap, seed 1), since a picture's queries are not independent.
"""

import argparse
import collections
import json
import pathlib
import random

WAYS = {"composed": "top", "text only": "top_by_text", "image only": "top_by_image"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=pathlib.Path, help="images.json of the data set")
    parser.add_argument("answers", type=pathlib.Path, help="a file of evaluate --per-query")
    parser.add_argument("--prefix", default="", help="only queries whose reference's name begins so")
    return parser.parse_args()


def attributes_of(path):
    """Name -> attribute -> set of values."""
    described = json.loads(path.read_text())
    rows = described.items() if isinstance(described, dict) else ((row["name"], row) for row in described)
    sets = lambda row: {k: set(v if isinstance(v, list) else [v]) for k, v in row.get("attributes", {}).items() if v}
    return {name: sets(row) for name, row in rows}


def first_ten(answer, way):
    top = answer[WAYS[way]]
    return [entry[0] if isinstance(entry, list) else entry for entry in top][:10]


def share(names, test):
    return sum(map(test, names)) / len(names) if names else 0.0


def interval(by_reference):
    draw, groups = random.Random(1), list(by_reference.values())
    means = []
    for _ in range(1000):
        values = [v for group in draw.choices(groups, k=len(groups)) for v in group]
        means.append(sum(values) / len(values))
    means.sort()
    return means[25], means[974]


def line(title, by_reference):
    values = [v for group in by_reference.values() for v in group]
    low, high = interval(by_reference)
    print(f"| {title} | {len(values)} | {100 * sum(values) / len(values):.1f} ({100 * low:.1f} to {100 * high:.1f}) |")


def main():
    args = arguments()
    known = attributes_of(args.images)
    answers = [json.loads(text) for text in args.answers.read_text().splitlines() if text]
    answers = [a for a in answers if a["reference"].startswith(args.prefix)]
    gallery = {name for a in answers for way in WAYS for name in first_ten(a, way)} & known.keys()
    kinds = collections.Counter(a.get("kind") for a in answers)
    print("| first ten | queries | share, % |\n|---|---|---|")
    for kind in sorted(k for k in kinds if k and k.startswith("change ")):
        column = kind.removeprefix("change ")
        rows = [a for a in answers if a["kind"] == kind]
        for way in WAYS:
            asked, kept = collections.defaultdict(list), collections.defaultdict(list)
            for a in rows:
                wanted = known[a["targets"][0]].get(column, set())
                rest = {k: v for k, v in known[a["reference"]].items() if k != column}
                top = first_ten(a, way)
                asked[a["reference"]].append(share(top, lambda n: bool(known.get(n, {}).get(column, set()) & wanted)))
                if rest:
                    keeps = lambda n: all(known.get(n, {}).get(k, set()) & v for k, v in rest.items())
                    kept[a["reference"]].append(share(top, keeps))
            line(f"{kind}, {way}: as asked", asked)
            if kept:
                line(f"{kind}, {way}: the rest kept", kept)
        chance = [share(gallery, lambda n: bool(known[n].get(column, set()) & known[a["targets"][0]].get(column, set()))) for a in rows]
        print(f"| {kind}, chance: as asked | {len(rows)} | {100 * sum(chance) / len(chance):.1f} |")
    same, seen = collections.defaultdict(list), set()
    first = next(iter(known[answers[0]["reference"]]))
    for a in answers:
        if a["reference"] not in seen:
            seen.add(a["reference"])
            own = known[a["reference"]].get(first, set())
            same[a["reference"]].append(share(first_ten(a, "image only"), lambda n: bool(known.get(n, {}).get(first, set()) & own)))
    line(f"image only: same {first}", same)


if __name__ == "__main__":
    main()
