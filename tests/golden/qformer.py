#!/usr/bin/env python3
"""Golden values of the two-pass Q-Former, from the upstream code with random weights at small size.

    python tests/golden/qformer.py --upstream DIR [--out tests/golden/qformer.safetensors]

DIR is a checkout of github.com/zyinan99/MTST_PTHA (or its folder `lavis/models/blip2_models`). The committed files were
made from revision 6a02ee4763fc2260b6abfb18be78853facb91d86 with torch 2.15.0 and transformers 4.33.3, on a CPU.
Nothing of that code is copied here: it is imported from DIR.

What comes from where (all paths under `MTST_PTHA/src/lavis/models/blip2_models/`)
- Hidden states: `Qformer.py`, `BertModel.forward` (the patched Q-Former of SPRC), run in float64 so that the values are
  the exact ones to float32 precision on any machine. The four call patterns are the calls in
  `blip2_qformer_tgir_concatembedding_sim.py`, `Blip2Qformer4TGIRCESIM.forward`:
  `fusion`    text ids + query tokens + image; the mask is ones for the queries, then the text mask
  `image`     query tokens + image, no text, no mask
  `text`      text ids + the first N fusion outputs as query_embeds, no image: every position takes the text FFN;
              `text_real` with the real mask (inference, and SPRC's training), `text_ones` with an all-ones mask
              (what MTST_PTHA's training passes)
  `text_only` text ids + prompt tokens with `no_img=True`: the sequence is [CLS, prompts, rest] with positions for all.
              The mask is upstream's [ones(N), text mask], laid over [CLS, prompts, rest] without reordering; since
              CLS is never padding, that is the right mask.
- Read-outs: `f_q` = normalise(text_proj(hidden)) at index N ([CLS]; `inference`) or of the mean of the first N + 1
  positions (`forward`, where upstream writes `:33`); targets = normalise(vision_proj(image hidden)); `f_m` =
  normalise(text_proj(text_only hidden[:, 0])).
- Losses: q2t, t2t and p2p as `Blip2Qformer4TGIRCESIM.forward` computes them (sim = max over the target tokens / temp);
  `align` is SPRC's, `blip2_qformer_cir_full.py`: MSE(mean of the fusion tokens, mean of the detached prompt tokens).
  The formulas are written out below for any N and read-out. To prove them, the script also runs upstream's own
  `Blip2Qformer4TGIRCESIM.forward` and `Blip2QformerCirAlignPrompt.forward` whole at N = 32 (their slices are fixed at
  32) and stops unless each loss agrees to 1e-10.
- Gradients: torch autograd of q2t (mean read-out, real mask, label smoothing 0.1) + 0.4 t2t + 0.5 p2p, of a few
  parameters in full, and the L2 norm and the sum of every parameter's gradient in the JSON, with a second table for
  SPRC's loss (q2t with the CLS read-out, real mask, no smoothing, + 0.4 t2t + 0.4 align).
  Upstream's word embedding has padding_idx 0, so its gradient of row 0 is zero by construction.
- Optimiser: `adamw` in the JSON: the SPRC loss before and after each of a few steps of torch.optim.AdamW with upstream's
  betas and epsilon (`blip_fine_tune_2.py`: 0.9, 0.98, 1e-7), weight decay 0.05 on matrices and tables only, gradients
  clipped to norm 1, and every parameter's norm and sum after the last. Key biases are left out of the comparison: their
  gradient is zero but for rounding, which Adam blows up to a step; they change nothing that the model computes.

What is stubbed: `lavis.*` (registry, base classes, loggers: none takes part in the arithmetic); the vision encoder and
`ln_vision` are identities, so that image tokens are inputs; the tokenizer returns given ids; `mseloss`, which upstream
forgot to define, is torch's `mse_loss`; `einops` if it is not installed. Dropout is 0.

Weights are drawn from a fixed seed (normal, std 0.2; layer norm weights 1 + 0.1 normal; biases random too, so that none
can be forgotten unnoticed) and rounded to float16, so that the file can hold them exactly in half the space.

The tensors: upstream key names for weights (`bert.…`, `query_tokens`, `prompt_tokens`, `text_proj.*`, `vision_proj.*`,
`temp`; F16), `input.*` (image tokens F16; ids and masks I32), `out.<pattern>.<k>` (F32; k = 0 is the embeddings after
their layer norm, k = i + 1 the output of layer i), read-outs `out.f_q.{cls,mean}.{real,ones}`, `out.target`, `out.f_m`,
similarities `out.sim.…` (cosines, not yet divided by temp), `grad.<parameter>`.
"""

import argparse
import importlib.util
import json
import pathlib
import sys
import types

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

REVISION = "6a02ee4763fc2260b6abfb18be78853facb91d86"
CONFIG = dict(
    width=32,
    heads=4,
    intermediate=48,
    layers=4,
    cross_attention_freq=2,
    encoder_width=24,
    queries=5,
    projection=16,
    vocab=60,
    max_positions=64,
    layer_norm_eps=1e-12,
    text_length=8,
    image_tokens=7,
    batch=3,
)
LENGTHS, LENGTHS_REV = [8, 5, 3], [4, 8, 6]
ADAMW = dict(rate=5e-4, betas=[0.9, 0.98], epsilon=1e-7, weight_decay=0.05, clip=1.0, steps=4)
FULL_GRADIENTS = [
    "temp",
    "query_tokens",
    "prompt_tokens",
    "text_proj.weight",
    "vision_proj.bias",
    "bert.embeddings.LayerNorm.weight",
    "bert.embeddings.word_embeddings.weight",
    "bert.encoder.layer.0.attention.self.query.weight",
    "bert.encoder.layer.0.intermediate_query.dense.bias",
    "bert.encoder.layer.1.output.dense.bias",
    "bert.encoder.layer.2.crossattention.self.key.weight",
    "bert.encoder.layer.2.crossattention.output.LayerNorm.bias",
    "bert.encoder.layer.3.output_query.dense.weight",
]


def import_file(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def stub(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module
    return module


class StubBase(nn.Module):
    """Stands for LAVIS's Blip2Base: the forward passes use nothing of it but `device`."""

    @property
    def device(self):
        return next(self.parameters()).device


def import_upstream(folder):
    """Qformer.py and the two model files, with `lavis` stubbed around them."""
    register = types.SimpleNamespace(register_model=lambda name: lambda cls: cls)
    for package in ["lavis", "lavis.common", "lavis.models", "lavis.models.blip2_models", "lavis.models.blip_models"]:
        stub(package).__path__ = []
    stub("lavis.common.registry", registry=register)
    stub("lavis.common.dist_utils")
    sys.modules["lavis.common"].dist_utils = sys.modules["lavis.common.dist_utils"]
    stub("lavis.common.logger", MetricLogger=None)
    stub("lavis.models.base_model", all_gather_with_grad=None, concat_all_gather=None)
    stub("lavis.models.blip_models.blip_outputs", BlipOutput=None, BlipOutputFeatures=None)
    stub("lavis.models.blip2_models.blip2", Blip2Base=StubBase, compute_sim_matrix=None, disabled_train=None)
    if importlib.util.find_spec("einops") is None:
        stub("einops", rearrange=None)
    qformer = import_file("lavis.models.blip2_models.Qformer", folder / "Qformer.py")
    ptha = import_file("upstream_ptha", folder / "blip2_qformer_tgir_concatembedding_sim.py")
    ptha.mseloss = F.mse_loss
    sprc = import_file("upstream_sprc", folder / "blip2_qformer_cir_align_prompt.py")
    return qformer, ptha.Blip2Qformer4TGIRCESIM, sprc.Blip2QformerCirAlignPrompt


class Model(nn.Module):
    """Upstream's BertModel and the parameters around it, under upstream's key names."""

    def __init__(self, qformer, queries, seed):
        super().__init__()
        c = CONFIG
        config = qformer.BertConfig(
            vocab_size=c["vocab"],
            hidden_size=c["width"],
            num_hidden_layers=c["layers"],
            num_attention_heads=c["heads"],
            intermediate_size=c["intermediate"],
            max_position_embeddings=max(c["max_positions"], queries + c["text_length"]),
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            layer_norm_eps=c["layer_norm_eps"],
        )
        config.encoder_width = c["encoder_width"]
        config.add_cross_attention = True
        config.cross_attention_freq = c["cross_attention_freq"]
        config.query_length = queries
        self.bert = qformer.BertModel(config, add_pooling_layer=False)
        self.query_tokens = nn.Parameter(torch.zeros(1, queries, c["width"]))
        self.prompt_tokens = nn.Parameter(torch.zeros(1, queries, c["width"]))
        self.text_proj = nn.Linear(c["width"], c["projection"])
        self.vision_proj = nn.Linear(c["width"], c["projection"])
        self.temp = nn.Parameter(torch.tensor(0.07))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, p in self.named_parameters():
                if name == "temp":
                    value = p
                else:
                    noise = torch.randn(p.shape, generator=generator)
                    value = 1.0 + 0.1 * noise if name.endswith("LayerNorm.weight") else 0.2 * noise
                p.copy_(value.half().float())
        self.double().eval()


def half_randn(generator, *shape):
    return torch.randn(shape, generator=generator).half().double()


def make_inputs(seed):
    c, g = CONFIG, torch.Generator().manual_seed(seed)
    inputs = {}
    for name, lengths in [("", LENGTHS), ("_rev", LENGTHS_REV)]:
        ids = torch.randint(3, c["vocab"], (c["batch"], c["text_length"]), generator=g)
        mask = (torch.arange(c["text_length"])[None] < torch.tensor(lengths)[:, None]).long()
        ids[:, 0] = 1  # plays [CLS]
        ids[torch.arange(c["batch"]), torch.tensor(lengths) - 1] = 2  # plays [SEP]
        inputs["ids" + name], inputs["mask" + name] = ids * mask, mask
    for name in ["image_ref", "image_tgt"]:
        inputs[name] = half_randn(g, c["batch"], c["image_tokens"], c["encoder_width"])
    return inputs


def run(model, x):
    """The call patterns, as `Blip2Qformer4TGIRCESIM.forward` makes them. Returns hidden states by pattern."""
    b, n = x["ids"].shape[0], model.query_tokens.shape[1]
    queries = model.query_tokens.expand(b, -1, -1)
    ones = torch.ones(b, n, dtype=torch.long)
    mask, mask_rev = torch.cat([ones, x["mask"]], 1), torch.cat([ones, x["mask_rev"]], 1)
    atts = torch.ones(x["image_ref"].shape[:-1], dtype=torch.long)
    common = dict(return_dict=True, output_hidden_states=True)
    image = dict(encoder_hidden_states=x["image_ref"], encoder_attention_mask=atts)
    target = dict(encoder_hidden_states=x["image_tgt"], encoder_attention_mask=atts)
    out = {}
    out["fusion"] = model.bert(x["ids"], query_embeds=queries, attention_mask=mask, **image, **common)
    out["fusion_rev"] = model.bert(x["ids_rev"], query_embeds=queries, attention_mask=mask_rev, **target, **common)
    out["image"] = model.bert(query_embeds=queries, use_cache=True, **target, **common)
    prompt = out["fusion"].last_hidden_state[:, :n]
    out["text_real"] = model.bert(x["ids"], query_embeds=prompt, attention_mask=mask, **common)
    out["text_ones"] = model.bert(x["ids"], query_embeds=prompt, attention_mask=torch.ones_like(mask), **common)
    prompts = model.prompt_tokens.expand(b, -1, -1)
    out["text_only"] = model.bert(x["ids"], query_embeds=prompts, attention_mask=mask, no_img=True, **common)
    return {name: value.hidden_states for name, value in out.items()}


def read_out(model, hidden):
    n = model.query_tokens.shape[1]
    values = {"target": F.normalize(model.vision_proj(hidden["image"][-1]), dim=-1)}
    for mask in ["real", "ones"]:
        last = hidden["text_" + mask][-1]
        values[f"f_q.cls.{mask}"] = F.normalize(model.text_proj(last[:, n]), dim=-1)
        values[f"f_q.mean.{mask}"] = F.normalize(model.text_proj(last[:, : n + 1].mean(1)), dim=-1)
    values["f_m"] = F.normalize(model.text_proj(hidden["text_only"][-1][:, 0]), dim=-1)
    for name in [k for k in values if k.startswith("f_")]:
        values["sim." + name] = torch.einsum("qp,tnp->qtn", values[name], values["target"]).max(-1).values
    return values


def losses(model, hidden, values):
    n = model.query_tokens.shape[1]
    labels = torch.arange(values["target"].shape[0])
    result = {}
    for read in ["cls", "mean"]:
        for mask in ["real", "ones"]:
            logits = values[f"sim.f_q.{read}.{mask}"] / model.temp
            for smoothing in [0.0, 0.1]:
                result[f"q2t.{read}.{mask}.{smoothing}"] = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    result["t2t"] = F.cross_entropy(values["sim.f_m"] / model.temp, labels)
    prompt, reverse = hidden["fusion"][-1][:, :n].mean(1), hidden["fusion_rev"][-1][:, :n].mean(1)
    result["p2p"] = F.mse_loss(prompt, reverse.detach())
    learned = model.prompt_tokens.expand(prompt.shape[0], -1, -1).detach().mean(1)
    result["align"] = F.mse_loss(prompt, learned)
    result["total.ptha"] = result["q2t.mean.real.0.1"] + 0.4 * result["t2t"] + 0.5 * result["p2p"]
    result["total.sprc"] = result["q2t.cls.real.0.0"] + 0.4 * result["t2t"] + 0.4 * result["align"]
    return result


def check_formulas(qformer, ptha_class, sprc_class, x):
    """Upstream's whole forward passes at N = 32 against the formulas above."""
    model = Model(qformer, 32, seed=11)
    sentences = {"forward": (x["ids"], x["mask"]), "reverse": (x["ids_rev"], x["mask_rev"])}

    class Tokens(types.SimpleNamespace):
        def to(self, device):
            return self

    def tokenizer(text, **_):
        ids, mask = sentences[text[0] if isinstance(text, list) else text]
        return Tokens(input_ids=ids, attention_mask=mask)

    ours = losses(model, hidden := run(model, x), read_out(model, hidden))
    expected = {
        ptha_class: {"loss_itc": "q2t.mean.ones.0.1", "loss_rtc": "t2t", "loss_align": "p2p"},
        sprc_class: {"loss_itc": "q2t.mean.real.0.0", "loss_rtc": "t2t"},
    }
    worst = 0.0
    for cls, names in expected.items():
        upstream = cls.__new__(cls)
        nn.Module.__init__(upstream)
        upstream.Qformer = types.SimpleNamespace(bert=model.bert)
        for name in ["query_tokens", "prompt_tokens", "text_proj", "vision_proj", "temp"]:
            setattr(upstream, name, getattr(model, name))
        upstream.visual_encoder = upstream.ln_vision = nn.Identity()
        upstream.tokenizer, upstream.max_txt_len = tokenizer, CONFIG["text_length"]
        samples = {
            "image": x["image_ref"],
            "target": x["image_tgt"],
            "text_input": ["forward"],
            "text_rev": ["reverse"],
        }
        result = upstream(samples)
        for key, name in names.items():
            difference = abs(result[key].item() - ours[name].item())
            print(f"check {cls.__name__}.forward {key} = {result[key].item():.12f}, {name}: difference {difference:.1e}")
            worst = max(worst, difference)
    if worst > 1e-10:
        sys.exit("the formulas in this script disagree with upstream's forward pass")
    return worst


def train(qformer, x):
    """A few AdamW steps on the SPRC loss."""
    model, setting = Model(qformer, CONFIG["queries"], seed=7), ADAMW
    groups = [
        {"params": [p for n, p in model.named_parameters() if p.ndim >= 2], "weight_decay": setting["weight_decay"]},
        {"params": [p for n, p in model.named_parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=setting["rate"], betas=setting["betas"], eps=setting["epsilon"])
    history, norms = [], []
    for step in range(setting["steps"] + 1):
        hidden = run(model, x)
        loss = losses(model, hidden, read_out(model, hidden))["total.sprc"]
        history.append(loss.item())
        if step < setting["steps"]:
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), setting["clip"]).item())
            optimizer.step()
    after = {n: [p.norm().item(), p.sum().item()] for n, p in model.named_parameters() if not n.endswith("key.bias")}
    print("AdamW, SPRC loss before and after each step: " + ", ".join(f"{v:.6f}" for v in history))
    return {**setting, "losses": history, "gradient_norms": norms, "parameter_norm_and_sum": after}


def write_safetensors(path, tensors):
    """The format is small; writing it here keeps the file's bytes independent of any package's version."""
    kinds = {np.dtype("float16"): "F16", np.dtype("float32"): "F32", np.dtype("int32"): "I32"}
    header, blobs, offset = {}, [], 0
    for name in sorted(tensors, key=lambda k: (-tensors[k].dtype.itemsize, k)):
        array = np.ascontiguousarray(tensors[name])
        blob = array.tobytes()
        header[name] = {
            "dtype": kinds[array.dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upstream", type=pathlib.Path, required=True, help="checkout of zyinan99/MTST_PTHA")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".safetensors"))
    args = parser.parse_args()
    found = [args.upstream] if (args.upstream / "Qformer.py").exists() else []
    found += sorted(p.parent for p in args.upstream.glob("**/blip2_models/Qformer.py"))
    if not found:
        sys.exit(f"{args.upstream}: no Qformer.py in it; give a checkout of github.com/zyinan99/MTST_PTHA")
    torch.set_num_threads(1)
    qformer, ptha_class, sprc_class = import_upstream(found[0])

    inputs = make_inputs(seed=23)
    formula_difference = check_formulas(qformer, ptha_class, sprc_class, inputs)
    model = Model(qformer, CONFIG["queries"], seed=7)
    hidden = run(model, inputs)
    values = read_out(model, hidden)
    loss = losses(model, hidden, values)

    gradients, tensors = {}, {}
    for total in ["total.ptha", "total.sprc"]:
        model.zero_grad(set_to_none=True)
        loss[total].backward(retain_graph=True)
        gradients[total] = {
            name: [p.grad.norm().item(), p.grad.sum().item()] if p.grad is not None else None
            for name, p in model.named_parameters()
        }
        if total == "total.ptha":
            parameters = dict(model.named_parameters())
            for name in FULL_GRADIENTS:
                tensors["grad." + name] = parameters[name].grad.float().numpy()

    # What float32 alone costs: the same passes in single precision.
    single = Model(qformer, CONFIG["queries"], seed=7).float()
    single_inputs = {k: v.float() if v.is_floating_point() else v for k, v in inputs.items()}
    with torch.no_grad():
        single_hidden = run(single, single_inputs)
    float32 = {
        name: max((a - b.double()).abs().max().item() for a, b in zip(hidden[name], single_hidden[name]))
        for name in hidden
    }

    for name, p in model.named_parameters():
        tensors[name] = p.detach().half().numpy()
        assert (p.detach() == p.detach().half().double()).all(), name
    for name, x in inputs.items():
        tensors["input." + name] = x.half().numpy() if x.is_floating_point() else x.int().numpy()
    for name, states in hidden.items():
        kept = {len(states) - 1: states[-1]} if name == "fusion_rev" else dict(enumerate(states))
        for k, state in kept.items():
            tensors[f"out.{name}.{k}"] = state.detach().float().numpy()
    for name, value in values.items():
        tensors["out." + name] = value.detach().float().numpy()
    write_safetensors(args.out, tensors)
    notes = {
        "upstream": {"repository": "github.com/zyinan99/MTST_PTHA", "revision": REVISION},
        "made_by": "tests/golden/qformer.py",
        "torch": torch.__version__,
        "config": CONFIG,
        "text_lengths": LENGTHS,
        "text_lengths_rev": LENGTHS_REV,
        "patterns": list(hidden),
        "losses": {k: v.item() for k, v in loss.items()},
        "total": {
            "total.ptha": "q2t.mean.real.0.1 + 0.4 t2t + 0.5 p2p",
            "total.sprc": "q2t.cls.real.0.0 + 0.4 t2t + 0.4 align",
        },
        "gradient_norm_and_sum": gradients,
        "adamw": train(qformer, inputs),
        "max_difference_of_formulas_from_upstream_forward": formula_difference,
        "max_difference_of_upstream_in_float32": float32,
    }
    args.out.with_suffix(".json").write_text(json.dumps(notes, indent=1) + "\n")
    for name, value in loss.items():
        print(f"loss {name} = {value.item():.9f}")
    for name, value in float32.items():
        print(f"float32 against float64, {name}: {value:.1e}")
    print(f"{args.out}: {len(tensors)} tensors, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
