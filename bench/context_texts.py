"""Training texts of one change, and joined ones: context_texts.py DATA OUT writes OUT/plain.jsonl and OUT/joined.jsonl.

plain.jsonl: the collection's training triplets whose text asks for one change. joined.jsonl: these, and as many that a walk over two or three
of them joins, "make it red, and with longer hair": from the first reference to the last target. Neighbours on a walk change different things,
so that no part contradicts another; a change of role comes first, as it takes hair and age back to plain. Pairs that a query of the validation or
test split asks for are left out.
"""
import collections
import json
import pathlib
import random
import sys

# What a part changes, in the order in which parts may follow one another.
ORDER = {"role": 0, "age": 1, "hair": 1, "gender": 2, "skin-tone": 3}
THREE = 0.25
# A part that says so of all the rest is joined with none.
KEEPS = ("same", "otherwise", "only", "just", "else", "rest")


def caption_rows(data, split):
    return json.loads((data / f"captions/cap.rc2.{split}.json").read_text())


def line(reference, target, text):
    return json.dumps({"reference": reference, "target": target, "modifier_generated": text}) + "\n"


def walk(draw, steps, start, length):
    """Rows that follow one another from `start`, each later in ORDER than the one before; none where the way ends early."""
    rows = [start]
    while len(rows) < length:
        last = rows[-1]
        after = [row for row in steps[last["target_hard"]] if ORDER[row["kind"]] > ORDER[last["kind"]]]
        if not after:
            return None
        rows.append(draw.choice(after))
    return rows


def main():
    data, out = (pathlib.Path(argument) for argument in sys.argv[1:3])
    draw = random.Random(1)
    plain = [row for row in caption_rows(data, "train") if row["kind"] not in ("two", "three", "hand-two", "hand-three")]
    asked = {(row["reference"], target) for split in ("val", "test1") for row in caption_rows(data, split)
             for target in [row["target_hard"], *row["target_soft"]]}
    steps = collections.defaultdict(list)
    single = [row for row in plain if row["kind"] in ORDER and not any(word in row["caption"].lower().split() for word in KEEPS)]
    for row in single:
        steps[row["reference"]].append(row)
    joined, tries = {}, 0
    while len(joined) < len(plain) and tries < 100 * len(plain):
        tries += 1
        rows = walk(draw, steps, draw.choice(single), 3 if draw.random() < THREE else 2)
        pair = rows and (rows[0]["reference"], rows[-1]["target_hard"])
        if not rows or pair[0] == pair[1] or pair in asked:
            continue
        texts = [row["caption"].rstrip(" .") for row in rows]
        joined[(*pair, ", and ".join(texts))] = len(rows)
    of_plain = [line(row["reference"], row["target_hard"], row["caption"]) for row in plain]
    (out / "plain.jsonl").write_text("".join(of_plain))
    (out / "joined.jsonl.part").write_text("".join(of_plain + [line(*row) for row in joined]))
    (out / "joined.jsonl.part").rename(out / "joined.jsonl")
    counts = collections.Counter(joined.values())
    print(f"{len(plain)} texts of one change; joined: {counts[2]} of two, {counts[3]} of three")


if __name__ == "__main__":
    main()
