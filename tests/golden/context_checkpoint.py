#!/usr/bin/env python3
"""A small checkpoint of ConText-CIR's published code as PyTorch Lightning saves it, and the class's table of shapes at real widths.

    python tests/golden/context_checkpoint.py --context DIR

writes tests/golden/context/small.ckpt, small.safetensors (its values under upstream's names) and tests/golden/context_shapes.json.

The checkout is github.com/mvrl/ConText-CIR at revision REVISION below, with torch 2.6.0, transformers 4.51.1 and pytorch-lightning 2.5.0.post0, its own
requirements. Nothing of that code is copied here: `src/Models.py` and `src/Parser.py` are run, the small one with its widths replaced, and the
downloads of `from_pretrained` replaced by random weights. The checkpoint is what `Trainer.save_checkpoint` writes after one step, so its
optimiser, callbacks and arguments lie beside the state dict. The towers have the sizes of tests/golden/clip/small-clip.json.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import types

import pytorch_lightning as pl
import torch
import transformers
from safetensors.torch import save_file

REVISION = "cc070073346e164fb67faba81fd57db85011b9f0"
HERE = pathlib.Path(__file__).parent
VISION = dict(hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, image_size=8, patch_size=4, projection_dim=6)
TEXT = dict(hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, vocab_size=516, max_position_embeddings=9,
            bos_token_id=514, eos_token_id=515, pad_token_id=515, projection_dim=6)
# Width, blocks, heads, patch; width, blocks, heads; projection.
REAL = {"context-vit-b-32": ("B", (768, 12, 12, 32), (512, 12, 8), 512), "context-vit-l-14": ("L", (1024, 24, 16, 14), (768, 12, 12), 768)}


def sized(vision, text, projection):
    width, blocks, heads, patch = vision
    across, layers, text_heads = text
    return (dict(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=blocks, num_attention_heads=heads, image_size=224,
                 patch_size=patch, projection_dim=projection),
            dict(hidden_size=across, intermediate_size=4 * across, num_hidden_layers=layers, num_attention_heads=text_heads,
                 projection_dim=projection))


def upstream(folder, vision, text, widths=None):
    """The module with towers of these sizes."""
    sys.path.insert(0, str(folder / "src"))
    source = (folder / "src/Models.py").read_text()
    if widths:
        named = "self.text_dim, self.vision_dim = 512, 768"
        assert source.count(named) == 1
        source = source.replace(named, f"self.text_dim, self.vision_dim = {widths[0]}, {widths[1]}")
    module = types.ModuleType("Models")
    exec(compile(source, "Models.py", "exec"), module.__dict__)
    both = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=vision["projection_dim"])
    made = {
        "CLIPTextModel": lambda: transformers.CLIPTextModel(transformers.CLIPTextConfig(**text)),
        "CLIPVisionModel": lambda: transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**vision)),
        "CLIPModel": lambda: transformers.CLIPModel(both),
        "CLIPTokenizer": lambda: None,
        "CLIPImageProcessor": lambda: None,
    }
    for name, make in made.items():
        setattr(module, name, types.SimpleNamespace(from_pretrained=lambda _, make=make: make()))
    return module


def small(folder):
    module = upstream(folder, VISION, TEXT, (8, 8))
    torch.manual_seed(3)
    args = argparse.Namespace(backbone_size="B", learning_rate=1e-3, datasets="cirr", output_dir=None)
    model = module.ConText(args, num_cross_attn_layers=2, heads=2, weight_decay=0.01, steps_per_epoch=1, max_epochs=1)
    for name, value in model.named_parameters():
        with torch.no_grad():
            value.copy_(torch.randn(value.shape) * 0.3 + float("norm" in name and name.endswith("weight")))

    def step(batch, _):
        return sum(p.square().sum() for p in model.parameters()) * 1e-3

    model.training_step = step
    trainer = pl.Trainer(max_steps=1, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
                         callbacks=[pl.callbacks.ModelCheckpoint(dirpath="/nowhere", save_top_k=0)])
    trainer.fit(model, train_dataloaders=torch.utils.data.DataLoader([0]))
    out = HERE / "context"
    out.mkdir(exist_ok=True)
    trainer.save_checkpoint(out / "small.ckpt")
    state = model.state_dict()
    save_file({name: value.contiguous().clone() for name, value in state.items()}, out / "small.safetensors")
    print("small.ckpt:", len(state), "tensors;", sorted(torch.load(out / "small.ckpt", weights_only=False)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--context", type=pathlib.Path, required=True)
    folder = parser.parse_args().context
    if (folder / ".git").exists():
        found = subprocess.check_output(["git", "-C", folder, "rev-parse", "HEAD"], text=True).strip()
        assert found == REVISION, f"{folder} is at {found}"
    small(folder)
    table = {}
    for preset, (size, vision, text, projection) in REAL.items():
        with torch.device("meta"):
            module = upstream(folder, *sized(vision, text, projection))
            module.nn.Linear.load_state_dict = lambda *_, **__: None
            model = module.ConText(argparse.Namespace(backbone_size=size, learning_rate=1e-5))
        table[preset] = {name: list(value.shape) for name, value in model.state_dict().items()}
        print(preset, len(table[preset]))
    (HERE / "context_shapes.json").write_text(json.dumps(table, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
