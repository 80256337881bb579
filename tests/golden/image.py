"""Golden values of image preprocessing, from Pillow (pip install pillow==11.3.0).

    python tests/golden/image.py        writes tests/golden/image.json

The steps are upstream's `targetpad_transform` (CLIP4Cir, SPRC): TargetPad, torchvision's Resize and CenterCrop on a
PIL image. torchvision's two size rules are written out, so that Pillow alone is enough. Inputs are noise from a
formula that the Rust test repeats. Pillow 13 resizes some shapes vertically first, which moves single values by one
level; the models were trained with the horizontal pass first, so an older version is the reference.
"""

import json
import pathlib

from PIL import Image

FILTERS = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}


def noise(width, height, alpha):
    state = (width * 7919 + height) & 0xFFFFFFFF
    data = bytearray()
    for i in range(width * height * 4):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        byte = state >> 24
        if i % 4 == 3 and (alpha == "opaque" or (alpha == "some" and byte < 128)):
            byte = 255
        data.append(byte)
    return Image.frombytes("RGBA", (width, height), bytes(data))


def transform(image, c):
    flat = Image.new("RGB", image.size, tuple(c["background"]))
    flat.paste(image.convert("RGB"), mask=image.getchannel("A"))
    w, h = flat.size
    if c["pad_ratio"] is not None and max(w, h) / min(w, h) >= c["pad_ratio"]:
        grown = max(w, h) / c["pad_ratio"]
        hp, vp = max(int((grown - w) / 2), 0), max(int((grown - h) / 2), 0)
        padded = Image.new("RGB", (w + 2 * hp, h + 2 * vp), tuple(c["pad_fill"]))
        padded.paste(flat, (hp, vp))
        flat = padded
    w, h = flat.size
    short, long = min(w, h), max(w, h)
    size = c["size"]
    other = int(size * long / short)
    flat = flat.resize((size, other) if w <= h else (other, size), FILTERS[c["resize"]])
    w, h = flat.size
    top, left = int(round((h - size) / 2.0)), int(round((w - size) / 2.0))
    return flat.crop((left, top, left + size, top + size)).tobytes()


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def main():
    cases = []
    for width, height in [(1, 1), (2, 1), (1, 2), (3, 200), (300, 224), (224, 224), (225, 224), (97, 101), (100, 125), (640, 7), (31, 33), (513, 400), (5, 4)]:
        for size, resize, ratio, fill, alpha in [
            (224, "bicubic", 1.25, 0, "opaque"),
            (224, "bicubic", None, 0, "some"),
            (8, "bicubic", 1.25, 255, "all"),
            (7, "bilinear", None, 0, "opaque"),
            (33, "bilinear", 2.0, 77, "some"),
        ]:
            config = {"size": size, "resize": resize, "pad_ratio": ratio, "pad_fill": [fill, 255 - fill, fill // 2], "background": [255, 254, 3],
                      "mean": [0, 0, 0], "std": [1, 1, 1], "scale_to_unit": False}
            pixels = transform(noise(width, height, alpha), config)
            cases.append({"width": width, "height": height, "alpha": alpha, "config": config, "hash": fnv(pixels),
                          "pixels": list(pixels) if size <= 8 else None})
    path = pathlib.Path(__file__).with_name("image.json")
    path.write_text("[" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "]\n")
    print(f"{path}: {len(cases)} cases")


main()
