#!/usr/bin/env python3
"""The generator's language model in transformers on the CPU: the shapes and the lines of trainer/generator/examples/bench_generator.rs.

Weights are random (time does not depend on them); arguments: threads.
"""

import json
import sys
import time

import torch
import transformers

PROMPT, ANSWER = 35, 16


def say(name, shape, value, unit):
    print(json.dumps({"name": name, "peer": "transformers", "shape": shape, unit: round(value, 3)}), flush=True)


def main():
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, rms_norm_eps=1e-5, rope_theta=1e5, tie_word_embeddings=True, max_position_embeddings=8192,
        bos_token_id=1, eos_token_id=2, pad_token_id=2,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    for p in model.parameters():
        p.requires_grad_(False)
    wave = lambda b, n: torch.randn(b, n, 576) * 0.1
    for name, batch, beams in [("greedy", 1, 1), ("greedy", 32, 1), ("beam 5", 8, 5)]:
        speeds = []
        for _ in range(3):
            x = wave(batch, PROMPT)
            began = time.perf_counter()
            model.generate(
                inputs_embeds=x, attention_mask=torch.ones(batch, PROMPT, dtype=torch.long), do_sample=False, num_beams=beams,
                min_new_tokens=ANSWER, max_new_tokens=ANSWER, repetition_penalty=1.5, pad_token_id=2,
            )
            speeds.append(batch / (time.perf_counter() - began))
        say(name, f"{batch} x {PROMPT} + {ANSWER}", sorted(speeds)[1], "texts_per_second")
    with torch.no_grad():
        past = model(inputs_embeds=wave(1, PROMPT), use_cache=True).past_key_values
        for quarter in range(4):
            began = time.perf_counter()
            for _ in range(64):
                past = model(inputs_embeds=wave(1, 1), past_key_values=past, use_cache=True).past_key_values
            each = (time.perf_counter() - began) * 1e3 / 64
            say("token of a long answer", f"{quarter * 64}-{quarter * 64 + 63}", each, "ms")
    batch, times = 16, []
    ids = torch.randint(0, 40000, (batch, ANSWER))
    for _ in range(4):
        x = wave(batch, PROMPT).requires_grad_()
        began = time.perf_counter()
        embedded = torch.cat([x, model.model.embed_tokens(ids[:, :-1])], 1)
        hidden = model.model(inputs_embeds=embedded).last_hidden_state[:, PROMPT - 1 :]
        logits = model.lm_head(hidden.reshape(-1, 576))
        torch.nn.functional.cross_entropy(logits, ids.reshape(-1)).backward()
        times.append(time.perf_counter() - began)
    say("train passes", f"{batch} x {PROMPT} + {ANSWER}", 1 / sorted(times[1:])[1], "steps_per_second")


if __name__ == "__main__":
    main()
