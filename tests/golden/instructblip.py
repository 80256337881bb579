#!/usr/bin/env python3
"""Golden values of a small random InstructBLIP around a small Llama, from transformers: from image tokens and an instruction,
through Q-Former and projection, to the language model's logits and the answers of `generate`.

instructblip.safetensors: weights under Hugging Face's names (the vision tower left out), the image tokens after its last norm,
ids, masks, and logits. instructblip.json: the language model's sizes, and answers by greedy and beam search.
"""

import argparse
import json
import pathlib

import torch
import transformers

from qformer import write_safetensors

ANSWERS = {
    "greedy": dict(num_beams=1, max_new_tokens=12),
    # Another token ends these: one row of them is short.
    "ends": dict(num_beams=1, max_new_tokens=12, eos_token_id=8),
    "published": dict(num_beams=5, max_new_tokens=12, repetition_penalty=1.5, min_length=1),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".safetensors"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(5)
    vision = dict(hidden_size=24, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)
    qformer = dict(
        vocab_size=60, hidden_size=32, num_hidden_layers=4, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=40, cross_attention_frequency=2, encoder_hidden_size=24,
    )
    text = transformers.LlamaConfig(
        vocab_size=70, hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
        rms_norm_eps=1e-6, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        architectures=["LlamaForCausalLM"],
    )
    config = transformers.InstructBlipConfig(
        vision_config=vision, qformer_config=qformer, text_config=text.to_dict(), num_query_tokens=5)
    model = transformers.InstructBlipForConditionalGeneration(config).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_((torch.randn_like(p) * (0.2 if p.ndim > 1 else 0.1) + (0 if p.ndim > 1 else 0.5)).half().float())
    pixels = torch.randn(3, 3, 28, 28)
    instruction = torch.randint(4, 60, (3, 7))
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2, [1] * 3 + [0] * 4])
    ids = torch.randint(4, 70, (3, 6))
    with torch.no_grad():
        out = model(
            pixel_values=pixels, qformer_input_ids=instruction, qformer_attention_mask=mask, input_ids=ids,
            attention_mask=torch.ones_like(ids), return_dict=True,
        )
    answers = {}
    for name, settings in ANSWERS.items():
        with torch.no_grad():
            rows = model.generate(
                pixel_values=pixels, qformer_input_ids=instruction, qformer_attention_mask=mask, input_ids=ids,
                attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0, **settings,
            ).tolist()
        # transformers 4.33 puts the beginning token first, and pads after the end.
        assert all(row[0] == 1 for row in rows)
        end = settings.get("eos_token_id", 2)
        answers[name] = [row[1 : row.index(end)] if end in row else row[1:] for row in rows]
    assert any(0 < len(row) < 12 for row in answers["ends"])
    tensors = {k: p.detach().half().numpy() for k, p in model.named_parameters() if not k.startswith("vision_model.")}
    tensors["input.image"] = out.vision_outputs.last_hidden_state.numpy()
    tensors["input.instruction"] = instruction.int().numpy()
    tensors["input.mask"] = mask.int().numpy()
    tensors["input.ids"] = ids.int().numpy()
    tensors["out.logits"] = out.language_model_outputs.logits.numpy() if hasattr(out.language_model_outputs, "logits") else out.logits.numpy()
    write_safetensors(args.out, tensors)
    print(args.out.stat().st_size, tensors["out.logits"].shape)
    args.out.with_suffix(".json").write_text(json.dumps({
        "text_config": text.to_diff_dict() | {"model_type": "llama"}, "settings": ANSWERS, "answers": answers}) + "\n")


if __name__ == "__main__":
    main()
