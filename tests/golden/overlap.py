#!/usr/bin/env python3
"""Golden values of ROUGE-1 (rouge-score) and METEOR (NLTK, equal words only) on pairs of texts.

overlap.json: [original, generated, ROUGE-1 F-measure, METEOR]. NLTK gets rouge-score's words, a stemmer that does nothing and
a WordNet that knows nothing.
"""

import json
import pathlib

from nltk.translate.meteor_score import single_meteor_score
from rouge_score import rouge_scorer, tokenizers

PAIRS = [
    ("make the dress red with long sleeves", "the dress is red and has long sleeves"),
    ("make the dress red", "make the dress red"),
    ("a b c d e f", "f e d c b a"),
    ("the the the cat", "the cat the"),
    ("the cat sat on the mat", "on the mat sat the cat"),
    ("nothing in common", "entirely other words"),
    ("", "something"),
    ("something", ""),
    ("It's 2 dogs, not 3!", "its 2 dogs not three"),
    ("Change colour: RED-to-blue", "red to blue colour change"),
    ("café naïve", "cafe naive"),
    ("a a b a a b", "a b a a b a"),
    ("remove the people and add a wooden table in front", "add a table, remove people; the front is wooden"),
    ("more", "more more more more"),
]


class Same:
    def stem(self, word):
        return word


class Nothing:
    def synsets(self, word):
        return []


def main():
    scorer = rouge_scorer.RougeScorer(["rouge1"], use_stemmer=False)
    words = tokenizers.DefaultTokenizer(use_stemmer=False).tokenize
    rows = []
    for original, generated in PAIRS:
        rouge = scorer.score(original, generated)["rouge1"].fmeasure
        a, b = words(original), words(generated)
        rows.append([original, generated, rouge, single_meteor_score(a, b, stemmer=Same(), wordnet=Nothing()) if a and b else 0.0])
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    pathlib.Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n")
    print(lines)


if __name__ == "__main__":
    main()
