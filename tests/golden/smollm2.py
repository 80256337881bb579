#!/usr/bin/env python3
"""Golden values of SmolLM2-135M-Instruct from its GGUF file, through transformers, with weights that gguf dequantizes.

smollm2.json: token ids of texts (tokenizers), the chat template (jinja2), logits of every position of a prompt at a few
places of the vocabulary, and a greedy answer.
"""

import argparse
import json
import pathlib

import gguf
import jinja2
import numpy as np
import tokenizers
import torch
import transformers

from llama import TEXTS

MORE = [
    "Make the sleeves longer, and change the colour from red to dark-blue.",
    "def f(x):\n    return x  # 10%\n",
    "Is a different breed of dog & has 3 puppies",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gguf", type=pathlib.Path, required=True, help="SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    file = gguf.GGUFReader(args.gguf)
    field = lambda key: file.fields[key].contents()
    heads, key_heads = field("llama.attention.head_count"), field("llama.attention.head_count_kv")
    config = transformers.LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=heads,
        num_key_value_heads=key_heads, rms_norm_eps=1e-5, rope_theta=field("llama.rope.freq_base"), tie_word_embeddings=True,
        max_position_embeddings=8192, bos_token_id=1, eos_token_id=2, pad_token_id=2,
    )
    decoder = transformers.LlamaForCausalLM(config).eval()
    names = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
             "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
    state = {}
    for tensor in file.tensors:
        array = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        part = tensor.name.split(".")
        if part[0] == "blk":
            if part[2] in ("attn_q", "attn_k"):
                n = heads if part[2] == "attn_q" else key_heads
                array = array.reshape(n, array.shape[0] // n // 2, 2, -1).swapaxes(1, 2).reshape(array.shape)
            state[f"model.layers.{part[1]}.{names[part[2]]}.weight"] = torch.from_numpy(np.ascontiguousarray(array))
        else:
            key = {"token_embd": "model.embed_tokens.weight", "output_norm": "model.norm.weight"}[part[0]]
            state[key] = torch.from_numpy(np.ascontiguousarray(array))
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    missing, unexpected = decoder.load_state_dict(state, strict=False)
    assert not unexpected and all("rotary" in name for name in missing), (missing, unexpected)
    decoder.tie_weights()

    tokens, merges = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.merges")
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE({t: i for i, t in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges]))
    split = tokenizers.pre_tokenizers
    tokenizer.pre_tokenizer = split.Sequence([split.Digits(individual_digits=True), split.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    specials = [t for t, kind in zip(tokens, field("tokenizer.ggml.token_type")) if kind == 3]
    texts = [text for text in TEXTS + MORE if not any(s in text for s in specials)]
    plain = [tokenizer.encode(text).ids for text in texts]
    tokenizer.add_special_tokens(specials)

    messages = [{"role": "user", "content": "Say how a red dress becomes a blue one, in one short sentence."}]
    template = jinja2.Template(field("tokenizer.chat_template"))
    chat = template.render(messages=messages, add_generation_prompt=True)
    ids = tokenizer.encode(chat).ids
    with torch.no_grad():
        logits = decoder(input_ids=torch.tensor([ids])).logits[0]
        answer = decoder.generate(
            input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), do_sample=False,
            max_new_tokens=40, pad_token_id=2,
        )[0, len(ids):].tolist()
    answer = answer[: answer.index(2)] if 2 in answer else answer
    places = list(range(0, 49152, 1013))
    notes = {
        "texts": texts, "tokens": plain, "user": messages[0]["content"], "chat": chat, "ids": ids, "places": places,
        "logits": [[round(x, 6) for x in row[places].tolist()] for row in logits],
        "likeliest": logits.argmax(-1).tolist(),
        "greedy": answer, "greedy_text": tokenizer.decode(answer),
    }
    args.out.write_text(json.dumps(notes, ensure_ascii=False) + "\n")
    print(notes["greedy_text"], len(ids), args.out.stat().st_size)


if __name__ == "__main__":
    main()
