#!/usr/bin/env python3
"""Loads what `thisbut convert --to hf|lavis|sprc` wrote with the libraries it is for, strictly.

    thisbut import tests/golden/checkpoints/sprc.pt --preset tests/golden/checkpoints/small.json --weights W --out W/s.safetensors
    thisbut convert W/s.safetensors --weights W --to hf --out W/hf
    thisbut convert W/s.safetensors --weights W --to lavis --out W/model.pth
    thisbut convert W/s.safetensors --weights W --to sprc --out W/model.pt
    python tests/golden/exported.py --hf W/hf --lavis W/model.pth
    python tests/golden/exported.py --sprc W/model.pt --upstream DIR

Checked, and the script stops at the first difference
- `torch.load(weights_only=True)` reads both files, memory-mapped too; names and shapes are those of LAVIS's state dict
  (`checkpoints.py`), every value is the one that `checkpoints.py` gave, and the image encoder's matrices are f16.
- transformers' `Blip2ForImageTextRetrieval` (4.46 or newer) takes the folder: `config.json` builds it, its state dict takes
  the file strictly, `from_pretrained` reports nothing missing or unexpected, and every value is the right one.
- With `--upstream`, a checkout of github.com/zyinan99/MTST_PTHA, and transformers 4.33.3, which that code needs: its Q-Former
  (`Qformer.py`, SPRC's) takes the state dict; missing are only the language-model head, which composed retrieval does not
  use, and the position ids, which are no parameters.

Last run with torch 2.15.0, transformers 4.57.1 (`--hf`) and 4.33.3, MTST_PTHA 6a02ee4763fc2260b6abfb18be78853facb91d86.
"""

import argparse
import pathlib
import types

import torch
from safetensors.torch import load_file

import checkpoints


def expected():
    encoder = {f"visual_encoder.{k}": s for k, s in checkpoints.encoder_shapes(checkpoints.DEPTH).items()}
    shapes = encoder | checkpoints.model_shapes() | {"prompt_tokens": [1, checkpoints.N, checkpoints.D]}
    return {name: checkpoints.values(name, shape) for name, shape in shapes.items()}


def same(found, wanted, place):
    assert found.keys() == wanted.keys(), (place, found.keys() ^ wanted.keys())
    for name, value in wanted.items():
        assert found[name].shape == value.shape, (place, name, found[name].shape, value.shape)
        assert torch.equal(found[name].float(), value), (place, name)


def lavis(path, key):
    for memory_mapped in [False, True]:
        whole = torch.load(path, map_location="cpu", weights_only=True, mmap=memory_mapped)
        same(whole[key], expected(), path)
    state = whole[key]
    assert state["visual_encoder.blocks.1.attn.qkv.weight"].dtype == torch.float16
    assert state["Qformer.bert.encoder.layer.0.output.dense.weight"].dtype == torch.float32
    print(f"{path}: {len(state)} tensors under {key!r} of {sorted(whole)}, all as LAVIS has them")
    return state


def hugging_face(folder):
    import transformers
    from transformers import Blip2Config, Blip2ForImageTextRetrieval

    wanted = checkpoints.hugging_face(expected())
    wanted.pop("prompt_tokens")
    wanted |= {"itm_head.weight": torch.zeros(2, checkpoints.D), "itm_head.bias": torch.zeros(2)}
    state = {}
    for path in sorted(folder.glob("model*.safetensors")):
        state |= load_file(path)
    same(state, wanted, folder)
    beside = load_file(folder / "thisbut.safetensors")
    assert {k: list(v.shape) for k, v in beside.items()} == {"temp": [], "prompt_tokens": [1, checkpoints.N, checkpoints.D]}

    model = Blip2ForImageTextRetrieval(Blip2Config.from_pretrained(folder))
    print(model.load_state_dict(state, strict=True))
    model, told = Blip2ForImageTextRetrieval.from_pretrained(folder, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"] and not told["mismatched_keys"], told
    same({k: v for k, v in model.state_dict().items() if k in wanted}, wanted, "the loaded model")
    left = model.state_dict().keys() - wanted.keys()
    assert all(name.endswith("position_ids") for name in left), left
    size = model.config.vision_config.image_size
    image = torch.zeros(1, 3, size, size)
    words = torch.tensor([[2, 5, 3]])
    with torch.no_grad():
        out = model(pixel_values=image, input_ids=words, attention_mask=torch.ones_like(words))
    scores = out.logits_per_image
    assert torch.isfinite(scores).all()
    print(f"{folder}: {len(state)} tensors, taken strictly by transformers {transformers.__version__}, scores {scores.tolist()}")


def upstream(root, state):
    import qformer

    qformer.stub("lavis")
    folder = next(path.parent for path in root.rglob("Qformer.py"))
    module = qformer.import_file("upstream_qformer", folder / "Qformer.py")
    config = module.BertConfig(
        vocab_size=checkpoints.VOCABULARY,
        hidden_size=checkpoints.D,
        num_hidden_layers=checkpoints.LAYERS,
        num_attention_heads=2,
        intermediate_size=checkpoints.INNER,
        max_position_embeddings=checkpoints.POSITIONS,
    )
    config.encoder_width, config.add_cross_attention, config.cross_attention_freq = checkpoints.C, True, 2
    config.query_length = checkpoints.N
    model = types.SimpleNamespace(Qformer=module.BertLMHeadModel(config))
    own = {name.removeprefix("Qformer."): value for name, value in state.items() if name.startswith("Qformer.")}
    told = model.Qformer.load_state_dict(own, strict=False)
    assert not told.unexpected_keys, told
    heads = [name for name in told.missing_keys if not name.startswith("cls.") and not name.endswith("position_ids")]
    assert not heads, heads
    print(f"{root}: the patched Q-Former takes {len(own)} tensors; its own start: {told.missing_keys}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hf", type=pathlib.Path)
    parser.add_argument("--lavis", type=pathlib.Path)
    parser.add_argument("--sprc", type=pathlib.Path)
    parser.add_argument("--upstream", type=pathlib.Path)
    args = parser.parse_args()
    if args.lavis:
        lavis(args.lavis, "model")
    if args.sprc:
        state = lavis(args.sprc, "Blip2QformerCirAlignPrompt")
        if args.upstream:
            upstream(args.upstream, state)
    if args.hf:
        hugging_face(args.hf)


if __name__ == "__main__":
    main()
