#!/usr/bin/env python3
"""A BLIP-2 checkpoint of the real sizes (EVA ViT-g/14, BERT-base Q-Former) with random weights, to measure memory and time.

    python tests/golden/full_size.py OUT.safetensors

LAVIS's names and shapes, the image encoder f16 and the rest f32: 2.7 GB, written tensor by tensor. It answers nothing.
"""

import argparse
import json
import pathlib

import numpy as np

import checkpoints


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    out = parser.parse_args().out
    checkpoints.C, checkpoints.DEPTH, checkpoints.TOKENS, checkpoints.PATCH, checkpoints.MLP = 1408, 39, 257, 14, 6144
    checkpoints.D, checkpoints.INNER, checkpoints.LAYERS, checkpoints.N, checkpoints.P = 768, 3072, 12, 32, 256
    checkpoints.VOCABULARY, checkpoints.POSITIONS = 30523, 512
    encoder = checkpoints.encoder_shapes(checkpoints.DEPTH)
    tensors = [(f"visual_encoder.{name}", shape, "F16", "<f2") for name, shape in encoder.items()]
    model = checkpoints.model_shapes() | {"prompt_tokens": [1, checkpoints.N, checkpoints.D]}
    tensors += [(name, shape, "F32", "<f4") for name, shape in model.items()]
    header, end = {}, 0
    for name, shape, dtype, numpy in tensors:
        start, end = end, end + int(np.prod(shape, dtype=np.int64)) * np.dtype(numpy).itemsize
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    header = json.dumps(header).encode()
    header += b" " * (-len(header) % 8)
    random = np.random.default_rng(1)
    with out.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for name, shape, _, numpy in tensors:
            values = 0.02 * random.standard_normal(int(np.prod(shape, dtype=np.int64)), dtype=np.float32)
            if name == "temp" or (len(shape) == 1 and name.endswith("weight")):
                values = values + np.float32(0.07 if name == "temp" else 1.0)
            file.write(values.astype(numpy).tobytes())
    print(f"{out}: {len(tensors)} tensors, {end} bytes")


if __name__ == "__main__":
    main()
