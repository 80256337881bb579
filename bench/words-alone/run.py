"""How well words alone are told from texts that no image answers.

    python3 bench/words-alone/run.py BUNDLE [--thisbut COMMAND] [--titles N] [--seed N]

Asks a bundle with titles of its own images, with single words of their tags, and with the texts beside this file: nonsense, the
names of things in other languages, and English about what no collection of pictures shows. Prints, for two figures of an answer, the
score that 95 of 100 titles reach, and the share of each kind of text that does not reach it: "best", the best image's score, and
"lift", the same less the mean score of all images. `closeness.words` of a bundle is the lift that 95 of 100 of all titles reach;
where the bundle has it, a third line judges by that.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
KINDS = ["nonsense", "foreign", "elsewhere"]


def scores(command, bundle, count, text):
    """The scores of all images, best first; none for a text without a word."""
    asked = [command, "query", "--bundle", str(bundle), "--text", text, "-k", str(count), "--json"]
    ran = subprocess.run(asked, capture_output=True, text=True, check=False)
    if ran.returncode:
        if "has no words" in ran.stderr:
            return None
        sys.exit(f"{text!r}: {ran.stderr.strip()}")
    return [answer["score"] for answer in json.loads(ran.stdout)]


def figures(command, bundle, count, texts):
    """(best, lift) of each text that has words."""
    found = [scores(command, bundle, count, text) for text in texts]
    return [(one[0], one[0] - sum(one) / len(one)) for one in found if one]


def main():
    """Asks and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=pathlib.Path)
    parser.add_argument("--thisbut", default="thisbut")
    parser.add_argument("--titles", type=int, default=160)
    parser.add_argument("--seed", type=int, default=4)
    args = parser.parse_args()
    index = json.loads((args.bundle / "bundle.json").read_text())
    gallery = index["gallery"]
    images = [image for part in gallery["metadata"] for image in json.loads((args.bundle / part["path"]).read_text())]
    chosen = random.Random(args.seed)
    titles = sorted({image["title"] for image in images})
    words = sorted({word for image in images for tag in image.get("tags", []) for word in tag.split() if word.isalpha()})
    texts = {"titles": chosen.sample(titles, min(args.titles, len(titles))), "tags": chosen.sample(words, min(60, len(words)))}
    texts |= {kind: (HERE / f"{kind}.txt").read_text().splitlines() for kind in KINDS}
    seen = {kind: figures(args.thisbut, args.bundle, gallery["count"], some) for kind, some in texts.items()}
    for at, name in enumerate(["best", "lift"]):
        reached = sorted(one[at] for one in seen["titles"])
        report(f"{name}, of these titles", reached[int(len(reached) * 0.05)], at, seen)
    measured = (index.get("closeness") or {}).get("words")
    if measured is None:
        print("the bundle has no closeness.words: export it again, or run `thisbut suggest`")
    else:
        report("closeness.words", measured, 1, seen)


def report(name, least, at, seen):
    """One line: the shares below `least`."""
    shares = [f"{kind} {sum(one[at] < least for one in some) / len(some):.0%} of {len(some)}" for kind, some in seen.items()]
    print(f"{name}: {least:.3f}; refused: " + ", ".join(shares))


if __name__ == "__main__":
    main()
