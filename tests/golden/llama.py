#!/usr/bin/env python3
"""Golden values of small random Llama decoders and of a small GGUF file, from transformers, tokenizers and gguf.

llama.safetensors: weights under Hugging Face's names behind "grouped." (four query heads on two key heads, own head) and
"tied." (one key head a query head, the token table as the head); inputs; logits. llama.json: what `generate` gives from
embeddings: greedy, greedy with a repetition penalty and a minimum, beam search, several settings, in batches with padding.
tiny-llama.gguf: a decoder in F32, F16, Q8_0, Q4_0 and Q4_1 with a byte-level tokenizer, written by the package gguf; its
logits and answers are those of transformers with the weights that gguf dequantizes, its token ids those of tokenizers.
"""

import argparse
import json
import pathlib

import gguf
import numpy as np
import tokenizers
import torch
import transformers

from qformer import write_safetensors

PLACE = pathlib.Path(__file__).parent
TEXTS = [
    "How to change from one image to another?\n",
    "the dress, but with  long sleeves it's 2024!\n\n  x",
    "Ünïcode हिन्दी 漢字 🎉 don't'll 'S \t\r\n end ",
    "<|im_end|> is text here",
    "",
    " ",
    "a\u00a0b\u3000c ١٢٣ ½ x² ...!?",
]


def model(seed, **sizes):
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        hidden_act="silu", max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0, **sizes
    )
    decoder = transformers.LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for name, p in decoder.named_parameters():
            p.copy_((torch.randn_like(p) * (0.25 if p.ndim > 1 else 0.1) + (0 if p.ndim > 1 else 1)).half().float())
    return decoder


def small_grouped():
    return model(
        11, vocab_size=83, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, rms_norm_eps=1e-5, tie_word_embeddings=False,
    )


def small_tied():
    decoder = model(
        12, vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, rms_norm_eps=1e-6, tie_word_embeddings=True,
    )
    decoder.tie_weights()
    return decoder


def answers(decoder, x, mask, **settings):
    with torch.no_grad():
        out = decoder.generate(inputs_embeds=x, attention_mask=mask, pad_token_id=0, **settings)
    rows = []
    for row in out.tolist():
        # What follows the end is padding; transformers 4.33 puts the beginning token (1) before what it generates, where it
        # counts for the repetition penalty and for lengths.
        rows.append(row[1 : row.index(2)] if 2 in row else row[1:])
    return rows


SETTINGS = {
    "greedy": dict(do_sample=False, num_beams=1, max_new_tokens=12),
    "penalty": dict(do_sample=False, num_beams=1, max_new_tokens=12, repetition_penalty=1.5, min_new_tokens=5),
    "beam": dict(do_sample=False, num_beams=5, max_new_tokens=10, min_new_tokens=1),
    "published": dict(do_sample=False, num_beams=5, max_new_tokens=14, repetition_penalty=1.5, min_new_tokens=3),
    "short": dict(do_sample=False, num_beams=3, max_new_tokens=9, length_penalty=-1.0, min_new_tokens=1),
    "long": dict(do_sample=False, num_beams=4, max_new_tokens=9, length_penalty=2.0, repetition_penalty=1.2, min_new_tokens=2),
}


def decoded(decoder, seed, end_bias):
    """Prompts of different lengths, padded on the left, through every setting."""
    torch.manual_seed(seed)
    lengths, width = [6, 4, 6, 1], decoder.config.hidden_size
    mask = torch.tensor([[0] * (6 - n) + [1] * n for n in lengths])
    x = (torch.randn(4, 6, width) * 0.5).half().float()
    if end_bias and decoder.lm_head.weight is not decoder.model.embed_tokens.weight:
        with torch.no_grad():
            decoder.lm_head.weight[2] *= end_bias
            decoder.lm_head.weight.copy_(decoder.lm_head.weight.half().float())
    return x, mask, {name: answers(decoder, x, mask, **settings) for name, settings in SETTINGS.items()}


def write_gguf(path):
    """A decoder whose every format is among those that are read."""
    sizes = dict(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, rms_norm_eps=1e-5, tie_word_embeddings=True, rope_theta=100000.0,
    )
    decoder = model(13, **sizes)
    decoder.tie_weights()
    config, kind = decoder.config, gguf.GGMLQuantizationType
    words = byte_tokenizer()
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("tiny")
    out.add_block_count(config.num_hidden_layers)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_rope_freq_base(config.rope_theta)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("smollm")
    out.add_token_list(words["tokens"])
    out.add_token_types([3 if i < 3 else 1 for i in range(len(words["tokens"]))])
    out.add_token_merges(words["merges"])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_add_bos_token(False)
    out.add_chat_template(words["template"])
    formats = {"q_proj": kind.Q4_1, "k_proj": kind.Q8_0, "v_proj": kind.Q4_0, "o_proj": kind.F16, "gate_proj": kind.Q4_1,
               "up_proj": kind.Q8_0, "down_proj": kind.F32, "embed_tokens": kind.Q8_0}
    names = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "q_proj": "attn_q", "k_proj": "attn_k",
             "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}
    with torch.no_grad():
        for name, p in decoder.named_parameters():
            part = name.split(".")[-2]
            form = formats.get(part, kind.F32)
            array = p.detach().numpy()
            if part in ("q_proj", "k_proj"):
                heads = config.num_attention_heads if part == "q_proj" else config.num_key_value_heads
                # llama.cpp's order of the rows.
                array = array.reshape(heads, 2, array.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(array.shape)
            coded = gguf.quantize(np.ascontiguousarray(array), form)
            back = gguf.dequantize(coded, form).reshape(array.shape).astype(np.float32)
            if part in ("q_proj", "k_proj"):
                back = back.reshape(heads, back.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(back.shape)
            p.copy_(torch.from_numpy(np.ascontiguousarray(back)))
            layer = name.split(".")[2] if "layers" in name else None
            ours = f"blk.{layer}.{names[part]}.weight" if layer else {
                "embed_tokens": "token_embd.weight", "norm": "output_norm.weight"}[part]
            out.add_tensor(ours, coded, raw_dtype=form)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    ids = torch.tensor([[7, 40, 299, 256, 3, 111]])
    with torch.no_grad():
        logits = decoder(input_ids=ids).logits[0]
    x = decoder.model.embed_tokens(ids)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(
        {t: i for i, t in enumerate(words["tokens"])}, [tuple(m.split(" ")) for m in words["merges"]]))
    split = tokenizers.pre_tokenizers
    tokenizer.pre_tokenizer = split.Sequence([split.Digits(individual_digits=True), split.ByteLevel(add_prefix_space=False)])
    return {
        "ids": ids[0].tolist(),
        "logits": logits.tolist(),
        "greedy": answers(decoder, x, torch.ones_like(ids), **SETTINGS["greedy"])[0],
        "published": answers(decoder, x, torch.ones_like(ids), **SETTINGS["published"])[0],
        "texts": TEXTS,
        "tokens": [tokenizer.encode(text).ids for text in TEXTS],
    }


def byte_tokenizer():
    """All bytes, three control tokens, and merges; no merge result may be missing."""
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    letters, extra = {}, 0
    for b in range(256):
        letters[b] = chr(b) if b in plain else chr(256 + extra)
        extra += b not in plain
    merges = ["h e", "\u0120 t", "\u0120t he", "i n", "\u0120 a", "e r", "\u0120 w", "o n", "r e", "a t", "l o", "i t", "i s",
              "e n", "o r", "\u0120 c", "\u0120 b", "n g", "in g", "e d", "\u0120 s", "\u0120 d", "o u", "\u0120 m", "l l",
              "e s", "\u0120 f", "c h", "an g", "a n", "s l", "e e", "v e", "\u0120d re", "m a", "g e", "o t", "he r", "t o",
              "\u0120 to", "\u0120c ol", "o l", "t h"]
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [letters[b] for b in range(256)]
    kept = []
    for merge in merges:
        a, b = merge.split(" ")
        if a in tokens and b in tokens and a + b not in tokens and len(tokens) < 300:
            kept.append(merge)
            tokens.append(a + b)
    while len(tokens) < 300:
        tokens.append(f"[unused{len(tokens)}]")
    template = (
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou describe changes.<|im_end|>\n' }}{% endif %}"
        "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    return {"tokens": tokens, "merges": kept, "template": template}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=PLACE)
    args = parser.parse_args()
    torch.set_num_threads(1)
    tensors, notes = {}, {"torch": torch.__version__, "transformers": transformers.__version__, "gguf": "0.19.0"}
    for name, decoder, end_bias in [("grouped", small_grouped(), 2.0), ("tied", small_tied(), 0)]:
        x, mask, found = decoded(decoder, 31, end_bias)
        with torch.no_grad():
            left = decoder(inputs_embeds=x, attention_mask=mask, position_ids=(mask.cumsum(-1) - 1).clamp(min=0)).logits
            right = torch.stack([torch.roll(row, -int((m == 0).sum()), 0) for row, m in zip(x, mask)])
            ids = torch.tensor([[1, 5, 9, 2, 40, 7, 33]])
            plain = decoder(input_ids=ids).logits
        for key, p in decoder.named_parameters():
            tensors[f"{name}.{key}"] = p.detach().half().numpy()
            assert (p.detach() == p.detach().half().float()).all(), key
        tensors[f"input.{name}.x"] = x.numpy()
        tensors[f"input.{name}.right"] = right.numpy()
        tensors[f"input.{name}.mask"] = mask.int().numpy()
        tensors[f"input.{name}.ids"] = ids.int().numpy()
        tensors[f"out.{name}.padded"] = left.numpy()
        tensors[f"out.{name}.logits"] = plain.numpy()
        notes[name] = {"config": decoder.config.to_diff_dict() | {"model_type": "llama"}, "answers": found}
    notes["settings"] = SETTINGS
    notes["gguf_file"] = write_gguf(str(args.out / "tiny-llama.gguf"))
    write_safetensors(args.out / "llama.safetensors", tensors)
    (args.out / "llama.json").write_text(json.dumps(notes, indent=1) + "\n")
    for name in ("grouped", "tied"):
        for setting, rows in notes[name]["answers"].items():
            print(name, setting, rows)
    print(notes["gguf_file"]["greedy"], notes["gguf_file"]["published"])


if __name__ == "__main__":
    main()
