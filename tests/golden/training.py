#!/usr/bin/env python3
"""Training as SPRC and SPN4CIR publish it: losses step by step, and dropout, on small random weights.

    python tests/golden/training.py --sprc DIR --spn4cir DIR

The checkouts are github.com/chunmeifeng/SPRC (revision 2935a5397732260d1db6fa577e5926f963e36f0f) and
github.com/BUAADreamer/SPN4CIR (SPN_REVISION below), with torch 2.15.0 and transformers 4.33.3, on a CPU. Nothing of that code is
copied here: it is imported, with LAVIS's registry, base class and loggers stubbed as in qformer.py. All is computed in float64.

What comes from where
- `sprc`: `blip2_qformer_cir_align_prompt.py`, `Blip2QformerCirAlignPrompt.forward`, trained as `blip_fine_tune_2.py` does on CIRR:
  loss_itc + 0.4 loss_rtc + 0.4 loss_align; AdamW (0.9, 0.98), eps 1e-7, weight decay 0.05 on every parameter, norms, biases and
  tau among them; OneCycleLR; no clipping, no limits of tau. The batch is all triplets. `temperatures` is tau before each step.
- `spn4cir`: `blip24cir/lavis/…/blip2_qformer_cir_align_prompt.py`: `get_bank_feats` fills the bank of target and reference features
  and each row's fused tokens, as `blip24cir/models.py`, `extract_bank_features` does (whose bank is allocated with too few
  dimensions, so it does not run as published); then `init_stage2(0.05)` and `forward_stage2`, with the optimiser of
  `blip24cir/train.py`: AdamW over what requires a gradient, weight decay 0.05, a constant rate. The batch is all triplets.
- `spn4cir_plus`: the same with the fused tokens of `get_refer_bank_feats`, one set an image, which later rows write over
  (`extract_refer_bank_features`; of a batch's rows the references are written before the targets).
- `out.dropout.*`: SPRC's `Qformer.py`, first and second pass, with every `nn.Dropout` replaced by the masks that
  `thisbut_model::nn::Noise` draws, in the order of the calls: so they test where dropout sits, on attention's weights too.
  Hidden states 0.1, attention's weights 0.2.

Rates are larger than published (`rate`), so that ten steps move the loss. Dropout is 0 while training.
The weights are those of qformer.py's `Model` at N = 32 (upstream's slices are fixed there), and a random `ln_vision`.
"""

import argparse
import copy
import json
import pathlib
import types

import numpy as np
import torch
from torch import nn

import qformer as base

SPN_REVISION = "2a413f7a9c6d0c69387e8fbf9726b58a4b2724a4"
N, IMAGES, TOKENS, STEPS = 32, 9, 16, 10
SPRC = dict(rate=1e-3, weight_decay=0.05, steps=STEPS, schedule_steps=20, warmup=4, div_factor=25.0)
SPN = dict(rate=2e-3, weight_decay=0.05, steps=STEPS, tau=0.05)
DROPOUT = dict(hidden=0.1, weights=0.2, seeds=[17, 18], first_row=0)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"] + [a + b for a in "xyz" for b in LETTERS][: base.CONFIG["vocab"] - 4]
# Reference and target of each triplet; images recur on both sides.
PAIRS = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (6, 7), (7, 8), (0, 8), (3, 1), (1, 6)]


class Tokens(types.SimpleNamespace):
    def to(self, device):
        return self


def tokenizer(texts, max_length, **_):
    rows = [[1] + [WORDS.index(word) for word in text.split()] + [2] for text in texts]
    assert all(len(row) <= max_length for row in rows)
    ids = torch.tensor([row + [0] * (max_length - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (max_length - len(row)) for row in rows])
    return Tokens(input_ids=ids, attention_mask=mask)


def upstream(folder):
    """The Q-Former and the model class of a checkout's `blip2_models`."""
    register = types.SimpleNamespace(register_model=lambda name: lambda cls: cls)
    for package in ["lavis", "lavis.common", "lavis.models", "lavis.models.blip2_models", "lavis.models.blip_models"]:
        base.stub(package).__path__ = []
    base.stub("lavis.common.registry", registry=register)
    base.stub("lavis.models.base_model", all_gather_with_grad=None, concat_all_gather=None)
    base.stub("lavis.models.blip_models.blip_outputs", BlipOutput=None, BlipOutputFeatures=None)
    base.stub("lavis.models.blip2_models.blip2", Blip2Base=base.StubBase, compute_sim_matrix=None, disabled_train=None)
    qformer = base.import_file("lavis.models.blip2_models.Qformer", folder / "Qformer.py")
    model = base.import_file("upstream_model", folder / "blip2_qformer_cir_align_prompt.py")
    return qformer, model.Blip2QformerCirAlignPrompt


def assembled(cls, model, norm):
    """Upstream's class around copies of the parameters."""
    whole = cls.__new__(cls)
    nn.Module.__init__(whole)
    own = copy.deepcopy(model)
    whole.Qformer = nn.Module()
    whole.Qformer.bert = own.bert
    for name in ["query_tokens", "prompt_tokens", "text_proj", "vision_proj", "temp"]:
        setattr(whole, name, getattr(own, name))
    whole.visual_encoder, whole.ln_vision = nn.Identity(), copy.deepcopy(norm)
    whole.tokenizer, whole.max_txt_len = tokenizer, base.CONFIG["text_length"]
    return whole


def image_norm(generator):
    norm = nn.LayerNorm(base.CONFIG["encoder_width"], eps=1e-5)
    with torch.no_grad():
        norm.weight.copy_((1 + 0.1 * torch.randn(norm.weight.shape, generator=generator)).half())
        norm.bias.copy_((0.2 * torch.randn(norm.bias.shape, generator=generator)).half())
    return norm.double()


def texts(generator):
    lengths = torch.randint(1, base.CONFIG["text_length"] - 1, (len(PAIRS),), generator=generator)
    draw = lambda n: torch.randint(4, len(WORDS), (int(n),), generator=generator)
    return [" ".join(WORDS[i] for i in draw(n)) for n in lengths]


def train_sprc(model, images, words):
    setting = SPRC
    reference, target = (images[[pair[side] for pair in PAIRS]] for side in (0, 1))
    optimizer = torch.optim.AdamW(
        [{"params": [p for p in model.parameters() if p.requires_grad], "lr": setting["rate"], "betas": (0.9, 0.98)}],
        eps=1e-7,
        weight_decay=setting["weight_decay"],
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=setting["rate"],
        pct_start=setting["warmup"] / setting["schedule_steps"],
        total_steps=setting["schedule_steps"],
        div_factor=setting["div_factor"],
    )
    weights = {"loss_itc": 1.0, "loss_rtc": 0.4, "loss_align": 0.4}
    losses, parts, temperatures = [], [], []
    for _ in range(setting["steps"]):
        found = model({"image": reference, "target": target, "text_input": words})
        loss = sum(weights[name] * value for name, value in found.items())
        losses.append(loss.item())
        parts.append([found[name].item() for name in weights])
        temperatures.append(model.temp.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    norms = [model.ln_vision.weight.norm().item(), model.ln_vision.bias.norm().item()]
    temperatures.append(model.temp.item())
    return {**setting, "losses": losses, "parts": parts, "temperatures": temperatures, "image_norm": norms}


def train_spn4cir(model, images, words, plus):
    setting = SPN
    at = lambda side: [pair[side] for pair in PAIRS]
    reference, target = images[at(0)], images[at(1)]
    fused, target_feats, reference_feats, _ = model.get_bank_feats(reference, words, target)
    bank = torch.zeros(IMAGES, N, base.CONFIG["projection"])
    bank[at(1)] = target_feats
    bank[at(0)] = reference_feats
    if plus:
        of_references, of_targets = model.get_refer_bank_feats(reference, words, target)
        by_image = torch.zeros(IMAGES, N, base.CONFIG["width"])
        for side, values in [(0, of_references), (1, of_targets)]:
            for row, image in enumerate(at(side)):
                by_image[image] = values[row]
        fused = by_image[at(0)]
    model.init_stage2(setting["tau"])
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        [{"params": trained, "lr": setting["rate"], "betas": (0.9, 0.98), "eps": 1e-7, "weight_decay": setting["weight_decay"]}]
    )
    losses, temperatures = [], []
    for _ in range(setting["steps"]):
        loss = model.forward_stage2(words, bank, fused, torch.tensor(at(1)))["loss_qtc"]
        losses.append(loss.item())
        temperatures.append(model.temp.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    temperatures.append(model.temp.item())
    return {**setting, "losses": losses, "temperatures": temperatures}


class Masks:
    """The masks of `thisbut_model::nn::Noise`, one after the other."""

    def __init__(self, seed):
        self.state = seed

    def next_seed(self):
        word = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & word
        mixed = ((self.state ^ (self.state >> 30)) * 0xBF58476D1CE4E5B9) & word
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & word
        seed = mixed ^ (mixed >> 31)
        return (seed ^ (seed >> 32)) & 0xFFFFFFFF

    def apply(self, x):
        p = DROPOUT["weights" if x.ndim == 4 else "hidden"]
        rows = hashed(np.arange(x.shape[0], dtype=np.uint32) + np.uint32(DROPOUT["first_row"]), np.uint32(self.next_seed()))
        if x.ndim == 4:
            head, query, key = np.ogrid[: x.shape[1], : x.shape[2], : x.shape[3]]
            places = ((head << 22) + (query << 12) + key).astype(np.uint32).ravel()
        else:
            places = np.arange(x[0].numel(), dtype=np.uint32)
        drawn = (hashed(places[None, :], rows[:, None]) >> np.uint32(8)).astype(np.float32) / np.float32(1 << 24)
        kept = torch.from_numpy((drawn >= np.float32(p)).astype(np.float64)).reshape(x.shape)
        return x * kept / (1 - p)


def hashed(index, seed):
    with np.errstate(over="ignore"):
        h = (index * np.uint32(0x9E3779B9)) ^ seed
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        return h ^ (h >> np.uint32(16))


def with_dropout(model, images, words):
    """Both passes of the first three triplets under the masks."""
    masks = {}

    class Masked(nn.Module):
        def forward(self, x):
            return masks["now"].apply(x)

    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, name, Masked())
    tokens = tokenizer(words[:3], base.CONFIG["text_length"])
    image = model.ln_vision(images[[pair[0] for pair in PAIRS[:3]]])
    queries = model.query_tokens.expand(3, -1, -1)
    mask = torch.cat([torch.ones(3, N, dtype=torch.long), tokens.attention_mask], 1)
    look = dict(encoder_hidden_states=image, encoder_attention_mask=torch.ones(image.shape[:-1], dtype=torch.long))
    bert = model.Qformer.bert
    with torch.no_grad():
        masks["now"] = Masks(DROPOUT["seeds"][0])
        fused = bert(tokens.input_ids, query_embeds=queries, attention_mask=mask, return_dict=True, **look).last_hidden_state
        masks["now"] = Masks(DROPOUT["seeds"][1])
        second = bert(tokens.input_ids, query_embeds=fused[:, :N], attention_mask=mask, return_dict=True).last_hidden_state
        query = nn.functional.normalize(model.text_proj(second[:, N]), dim=-1)
    return {"fused": fused[:, :N], "query": query}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sprc", type=pathlib.Path, required=True, help="checkout of chunmeifeng/SPRC")
    parser.add_argument("--spn4cir", type=pathlib.Path, required=True, help="checkout of BUAADreamer/SPN4CIR")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".safetensors"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    generator = torch.Generator().manual_seed(41)
    words, norm = texts(generator), image_norm(generator)
    images = torch.randn(IMAGES, TOKENS, base.CONFIG["encoder_width"], generator=generator).half().double()

    notes = {"made_by": "tests/golden/training.py", "torch": torch.__version__, "words": WORDS, "texts": words, "pairs": PAIRS}
    folder = next(args.sprc.glob("**/blip2_models/Qformer.py")).parent
    qformer, sprc = upstream(folder)
    model = base.Model(qformer, N, seed=31)
    notes["sprc"] = train_sprc(assembled(sprc, model, norm).train(), images, words)
    dropped = with_dropout(assembled(sprc, model, norm).train(), images, words)
    folder = next(args.spn4cir.glob("blip24cir/**/blip2_models/Qformer.py")).parent
    spn_qformer, spn = upstream(folder)
    again = base.Model(spn_qformer, N, seed=31)
    for name, plus in [("spn4cir", False), ("spn4cir_plus", True)]:
        notes[name] = train_spn4cir(assembled(spn, again, norm).eval(), images, words, plus)
    notes["dropout"] = DROPOUT

    tensors = {name: p.detach().half().numpy() for name, p in model.named_parameters()}
    tensors |= {f"ln_vision.{name}": p.detach().half().numpy() for name, p in norm.named_parameters()}
    tensors["input.images"] = images.half().numpy()
    tensors |= {f"out.dropout.{name}": value.float().numpy() for name, value in dropped.items()}
    base.write_safetensors(args.out, tensors)
    args.out.with_suffix(".json").write_text(json.dumps(notes, indent=1) + "\n")
    for name in ["sprc", "spn4cir", "spn4cir_plus"]:
        print(name, [round(v, 6) for v in notes[name]["losses"]], [round(v, 6) for v in notes[name]["temperatures"]])


if __name__ == "__main__":
    main()
