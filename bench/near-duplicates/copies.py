"""Copies of photographs as shops have them: saved again, made smaller, cut, made brighter, turned.

    python bench/near-duplicates/copies.py PHOTOS OUT [EVERY]

Copies PHOTOS to OUT/original, and makes copies of every EVERY-th photo (default 20) in OUT/KIND under the same path. Needs
Pillow. Nothing is drawn: the same photos give the same copies.
"""

import shutil
import sys
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps


def cut(image, share):
    """`image` without `share` of its width and height at each side."""
    dx, dy = round(image.width * share), round(image.height * share)
    return image.crop((dx, dy, image.width - dx, image.height - dy))


def half(image):
    return image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.LANCZOS)


# The change, and the quality of the JPEG that it is saved as; none: a PNG.
KINDS = {
    "png": (lambda image: image, None),
    "quality-85": (lambda image: image, 85),
    "quality-50": (lambda image: image, 50),
    "half": (half, 90),
    "cut-2": (lambda image: cut(image, 0.02), 90),
    "cut-5": (lambda image: cut(image, 0.05), 90),
    "cut-10": (lambda image: cut(image, 0.10), 90),
    "brighter-10": (lambda image: ImageEnhance.Brightness(image).enhance(1.1), 90),
    "mirrored": (ImageOps.mirror, 90),
}


def main(photos, out, every=20):
    found = sorted(path for path in photos.rglob("*.jpg"))
    for number, path in enumerate(found):
        inside = path.relative_to(photos)
        target = out / "original" / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        if number % every:
            continue
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        for kind, (change, quality) in KINDS.items():
            target = (out / kind / inside).with_suffix(".png" if quality is None else ".jpg")
            target.parent.mkdir(parents=True, exist_ok=True)
            changed = change(image)
            changed.save(target) if quality is None else changed.save(target, quality=quality)
    print(f"{len(found)} photos, {len(found[::every])} of them with {len(KINDS)} copies each")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *(int(every) for every in sys.argv[3:4]))
