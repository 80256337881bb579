#!/usr/bin/env python3
"""Golden values of Llama's kind of tokenizer, from sentencepiece, transformers and gguf.

llama-words/tokenizer.model: a SentencePiece model trained on the sentences below with the options of Llama's own (BPE, byte
fallback, digits alone, text unchanged). llama-words/tokenizer.json: what transformers makes of it. llama-words/words.gguf: its
pieces as llama.cpp's files hold them. sentencepiece.json: ids of the texts from sentencepiece and from transformers.
With --real FILE also mistral-words.json: ids of a published model of the same kind with 32,000 pieces, the file
tokenizer.model.v1 of the package mistral-common.
"""

import argparse
import json
import os
import pathlib

os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"

import gguf
import sentencepiece
import transformers

from llama import TEXTS

PLACE = pathlib.Path(__file__).resolve().parent
SENTENCES = [
    "How to change from one image to another?",
    "make the dress longer and the sleeves shorter, with a red belt",
    "the same shirt but in a darker shade of blue, without the logo",
    "replace the dog with two cats that sleep on a sofa",
    "show the animal from the side, in a forest, with snow on the ground",
    "a chat between a curious user and an artificial intelligence assistant",
    "    if changes:\n        return text  # twice  as  wide",
    "ein schönes Kleid, größer und röter",
]
MORE = TEXTS + [
    " leading and trailing ",
    "make  the   dress    longer",
    "</s> and <s> are text here, <0x41> too",
    "aaaaaaa sssss the the thethe",
    "USER: change it\nASSISTANT:",
]



def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--real", type=pathlib.Path)
    real = arguments.parse_args().real
    real = real and real.resolve()
    folder = PLACE / "llama-words"
    folder.mkdir(exist_ok=True)
    # The model remembers this path: it is to be the same wherever the script runs.
    os.chdir(folder)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_prefix="tokenizer", vocab_size=420, model_type="bpe",
        byte_fallback=True, split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, add_dummy_prefix=True, character_coverage=1.0, num_threads=1,
        unk_id=0, bos_id=1, eos_id=2, pad_id=-1, hard_vocab_limit=False,
    )
    (folder / "tokenizer.vocab").unlink()
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    fast = transformers.LlamaTokenizerFast(vocab_file=str(folder / "tokenizer.model"))
    fast.backend_tokenizer.save(str(folder / "tokenizer.json"))

    out = gguf.GGUFWriter(folder / "words.gguf", "llama")
    out.add_tokenizer_model("llama")
    count = model.get_piece_size()
    out.add_token_list([model.id_to_piece(i) for i in range(count)])
    out.add_token_scores([model.get_score(i) for i in range(count)])
    kind = lambda i: 2 if model.is_unknown(i) else 3 if model.is_control(i) else 6 if model.is_byte(i) else 1
    out.add_token_types([kind(i) for i in range(count)])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()

    assert all(model.decode(model.encode(text)) == text for text in MORE)
    golden = {
        "texts": MORE,
        "sentencepiece": [model.encode(text) for text in MORE],
        # Without the token that begins, which only the first text shows.
        "transformers": [fast(text, add_special_tokens=False)["input_ids"] for text in MORE],
        "begins": fast(MORE[0])["input_ids"][:1],
        "control": {"text": "USER: hi</s>and then", "ids": fast("USER: hi</s>and then", add_special_tokens=False)["input_ids"]},
    }
    (PLACE / "sentencepiece.json").write_text(json.dumps(golden) + "\n")
    if real:
        model = sentencepiece.SentencePieceProcessor(model_file=str(real))
        golden = {"texts": MORE + SENTENCES, "tokens": [model.encode(text) for text in MORE + SENTENCES]}
        (PLACE / "mistral-words.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    main()
