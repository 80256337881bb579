#!/usr/bin/env python3
"""A teacher's loss beside SPRC's: ten steps of SPRC's own model with relational distillation added, on small random weights.

    python tests/golden/teacher.py --sprc DIR

The checkout is that of training.py, whose model, images, texts and optimiser these are; all is computed in float64. No upstream code
has this loss. It is written out here by torch, row by row and without a mask, from the formula of
`trainer/src/train/objective/two_pass/teacher.rs`:

    S(i, j) = mean over r of max over n of f_t(i)_r . f_t(j)_n
    L = mean over i of KL(softmax_j T(i, j) / tau || softmax_j S(i, j) / tau), j over the targets of the batch that are not image i

with T the cosine of the teacher's vectors, which are random here. f_t is SPRC's target feature: `query_tokens` through the Q-Former
with the image, `vision_proj`, normalised. Two images are targets twice, so that leaving a row's own image out counts.
`norms` has the norm of all parameters' gradients in each step, of what is minimised: every loss with its weight.
"""

import argparse
import json
import pathlib

import torch
from torch import nn

import qformer as base
import training

WEIGHT, TAU, WIDTH = 3.0, 0.2, 6


def target_features(model, images):
    tokens = model.ln_vision(model.visual_encoder(images))
    queries = model.query_tokens.expand(len(images), -1, -1)
    mask = torch.ones(tokens.shape[:-1], dtype=torch.long)
    found = model.Qformer.bert(query_embeds=queries, encoder_hidden_states=tokens, encoder_attention_mask=mask, return_dict=True)
    return nn.functional.normalize(model.vision_proj(found.last_hidden_state), dim=-1)


def relations(features, vectors, images):
    rows = []
    for i, own in enumerate(images):
        others = [j for j, image in enumerate(images) if image != own]
        scores = torch.stack([(features[i] @ features[j].T).max(dim=1).values.mean() for j in others])
        teacher = torch.stack([vectors[own] @ vectors[images[j]] for j in others])
        towards = nn.functional.softmax(teacher / TAU, dim=0)
        rows.append((towards * (towards.log() - nn.functional.log_softmax(scores / TAU, dim=0))).sum())
    return torch.stack(rows).mean()


def train(model, images, words, vectors):
    setting = training.SPRC
    pairs = training.PAIRS
    reference, target = (images[[pair[side] for pair in pairs]] for side in (0, 1))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=setting["rate"], betas=(0.9, 0.98), eps=1e-7, weight_decay=setting["weight_decay"])
    weights = {"loss_itc": 1.0, "loss_rtc": 0.4, "loss_align": 0.4}
    losses, parts, norms = [], [], []
    for _ in range(setting["steps"]):
        found = model({"image": reference, "target": target, "text_input": words})
        taught = relations(target_features(model, target), vectors, [pair[1] for pair in pairs])
        loss = sum(weights[name] * value for name, value in found.items()) + WEIGHT * taught
        losses.append(loss.item())
        parts.append([found[name].item() for name in weights] + [taught.item()])
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.sqrt(sum((p.grad**2).sum() for p in trained if p.grad is not None)).item())
        optimizer.step()
    return {"losses": losses, "parts": parts, "norms": norms}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprc", type=pathlib.Path, required=True, help="checkout of chunmeifeng/SPRC")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    # The draws of training.py, in its order.
    generator = torch.Generator().manual_seed(41)
    words, norm = training.texts(generator), training.image_norm(generator)
    images = torch.randn(training.IMAGES, training.TOKENS, base.CONFIG["encoder_width"], generator=generator).half().double()
    vectors = nn.functional.normalize(torch.randn(training.IMAGES, WIDTH, generator=torch.Generator().manual_seed(43)), dim=1)
    vectors = vectors.float().double()
    qformer, sprc = training.upstream(next(args.sprc.glob("**/blip2_models/Qformer.py")).parent)
    model = base.Model(qformer, training.N, seed=31)
    notes = {"made_by": "tests/golden/teacher.py", "torch": torch.__version__, "weight": WEIGHT, "temperature": TAU, "width": WIDTH}
    notes["vectors"] = vectors.flatten().tolist()
    notes |= train(training.assembled(sprc, model, norm).train(), images, words, vectors)
    args.out.write_text(json.dumps(notes, indent=1) + "\n")
    print([round(v, 6) for v in notes["losses"]], [round(step[-1], 6) for step in notes["parts"]], [round(v, 6) for v in notes["norms"]])


if __name__ == "__main__":
    main()
