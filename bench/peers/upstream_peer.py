#!/usr/bin/env python3
"""Times MTST_PTHA's own modules at full width on the CPU, in the form of torch_peer.py, for `bench/full`.

    python bench/peers/upstream_peer.py --upstream DIR [--config model/configs/blip2-vit-g.json] [--threads 2] [--batches 8]

DIR is a checkout of github.com/zyinan99/MTST_PTHA; needs torch and transformers 4.33. Weights are random.
`encode`: eva_vit.py's VisionTransformer, one image. `fuse`: the two passes of `Blip2Qformer4TGIRCESIM.inference` on ready image tokens.
`train`: `Blip2Qformer4TGIRCESIM.forward` (q2t, t2t, p2p) on ready image tokens, backward, AdamW. Image tokens are layer-normed in each, as
upstream does.
"""

import argparse
import functools
import json
import pathlib
import sys
import types

import torch
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "golden"))
import qformer as golden  # noqa: E402
from torch_peer import measure  # noqa: E402


class Tokens(types.SimpleNamespace):
    def to(self, _):
        return self


def vision_tower(models, v, size):
    """upstream's eva_vit.py; the three helpers that it takes from timm do no arithmetic here."""
    golden.stub("timm").__path__ = []
    golden.stub("timm.models").__path__ = []
    pair = lambda x: x if isinstance(x, tuple) else (x, x)
    golden.stub("timm.models.layers", drop_path=None, to_2tuple=pair, trunc_normal_=nn.init.trunc_normal_)
    golden.stub("timm.models.registry", register_model=lambda f: f)
    sys.modules["lavis.common.dist_utils"].download_cached_file = None
    module = golden.import_file("upstream_eva", models / "eva_vit.py")
    return module.VisionTransformer(
        img_size=size,
        patch_size=v["patch"],
        use_mean_pooling=False,
        embed_dim=v["width"],
        depth=v["layers"],
        num_heads=v["heads"],
        mlp_ratio=v["intermediate"] / v["width"],
        qkv_bias=True,
        norm_layer=functools.partial(nn.LayerNorm, eps=1e-6),
    ).eval()


def multimodal(qformer, cls, config, texts):
    q, width = config["qformer"], config["image_encoder"]["width"]
    bert = qformer.BertConfig(
        vocab_size=q["vocabulary"],
        hidden_size=q["width"],
        num_hidden_layers=q["layers"],
        num_attention_heads=q["heads"],
        intermediate_size=q["intermediate"],
        max_position_embeddings=q["positions"],
        hidden_dropout_prob=q["dropout"],
        attention_probs_dropout_prob=q["dropout"],
    )
    bert.encoder_width, bert.add_cross_attention = width, True
    bert.cross_attention_freq, bert.query_length = q["cross_attention_every"], q["query_tokens"]
    model = cls.__new__(cls)
    nn.Module.__init__(model)
    model.Qformer = nn.ModuleDict({"bert": qformer.BertModel(bert, add_pooling_layer=False)})
    model.query_tokens = nn.Parameter(torch.randn(1, q["query_tokens"], q["width"]) * 0.02)
    model.prompt_tokens = nn.Parameter(torch.randn(1, q["query_tokens"], q["width"]) * 0.02)
    model.text_proj = nn.Linear(q["width"], config["projection"])
    model.vision_proj = nn.Linear(q["width"], config["projection"])
    model.temp = nn.Parameter(torch.tensor(0.07))
    model.visual_encoder, model.ln_vision = nn.Identity(), nn.LayerNorm(width)
    model.tokenizer, model.max_txt_len = lambda text, **_: texts[len(text)], config["text_length"]
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upstream", type=pathlib.Path, required=True)
    parser.add_argument("--config", type=pathlib.Path, default=ROOT / "model/configs/blip2-vit-g.json")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--batches", type=int, nargs="*", default=[8])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found = sorted(p.parent for p in args.upstream.glob("**/blip2_models/Qformer.py"))
    if not found:
        sys.exit(f"{args.upstream}: no blip2_models/Qformer.py in it; give a checkout of github.com/zyinan99/MTST_PTHA")
    qformer, ptha, _ = golden.import_upstream(found[0])
    config = json.loads(args.config.read_text())
    v, q, size, length = config["image_encoder"], config["qformer"], config["preprocess"]["size"], config["text_length"]
    peer = f"MTST_PTHA, torch {torch.__version__}"
    tokens = (size // v["patch"]) ** 2 + 1
    shape = f"D={q['width']} layers={q['layers']} N={q['query_tokens']} L={length} T={tokens}"

    with torch.inference_mode():
        net, pixels = vision_tower(found[0].parent, v, size), torch.randn(1, 3, size, size)
        measure("encode", peer, f"1x3x{size}x{size}", args.threads, lambda: net(pixels), args.seconds, warmup=1, least=3)
        del net

    texts = {}
    for count in {1, *args.batches}:
        mask = torch.zeros(count, length, dtype=torch.long)
        mask[:, : length * 3 // 8] = 1
        texts[count] = Tokens(input_ids=torch.randint(1, q["vocabulary"], mask.shape) * mask, attention_mask=mask)
    model = multimodal(qformer, ptha, config, texts).eval()
    image = torch.randn(1, tokens, v["width"])
    with torch.inference_mode():
        queries, text = model.query_tokens, texts[1]
        mask = torch.cat([torch.ones(queries.shape[:2], dtype=torch.long), text.attention_mask], 1)

        def fuse():
            seen = model.ln_vision(image)
            atts = torch.ones(seen.shape[:2], dtype=torch.long)
            context = dict(encoder_hidden_states=seen, encoder_attention_mask=atts, return_dict=True)
            prompt = model.Qformer["bert"](text.input_ids, query_embeds=queries, attention_mask=mask, **context)[0]
            prompt = prompt[:, : queries.shape[1]]
            out = model.Qformer["bert"](text.input_ids, query_embeds=prompt, attention_mask=mask, return_dict=True)[0]
            return nn.functional.normalize(model.text_proj(out[:, queries.shape[1]]), dim=-1)

        def target():
            seen = model.ln_vision(image)
            atts = torch.ones(seen.shape[:2], dtype=torch.long)
            out = model.Qformer["bert"](query_embeds=queries, encoder_hidden_states=seen, encoder_attention_mask=atts, return_dict=True)
            return nn.functional.normalize(model.vision_proj(out[0]), dim=-1)

        measure("fuse", peer, "B=1 " + shape, args.threads, fuse, args.seconds)
        measure("target", peer, "B=1 " + shape, args.threads, target, args.seconds)

    # Upstream's forward calls `self.Qformer.bert`.
    bert = model.Qformer["bert"].train()
    del model.Qformer
    model.Qformer = types.SimpleNamespace(bert=bert)
    parameters = [*bert.parameters(), *model.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, betas=(0.9, 0.98), eps=1e-7, weight_decay=0.05)
    for count in args.batches:
        images = [torch.randn(count, tokens, v["width"]) for _ in range(2)]
        samples = {"image": images[0], "target": images[1], "text_input": [""] * count, "text_rev": [""] * count}

        def step():
            optimizer.zero_grad(set_to_none=True)
            loss = model(samples)
            (loss["loss_itc"] + 0.4 * loss["loss_rtc"] + 0.5 * loss["loss_align"]).backward()
            optimizer.step()

        measure("train", peer, f"B={count} " + shape, args.threads, step, args.seconds, warmup=1, least=3)


if __name__ == "__main__":
    main()
