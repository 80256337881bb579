"""Small whole files as starting points for the fuzz targets: seeds.py OUT"""
import collections
import io
import json
import pathlib
import pickle
import struct
import sys
import types
import zipfile

root = pathlib.Path(__file__).resolve().parents[2]
out = pathlib.Path(sys.argv[1])


def seed(target, name, content):
    folder = out / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


# PyTorch's pickles, without PyTorch: names are all that a pickle holds of it.
torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})


def _rebuild_tensor_v2():
    pass


_rebuild_tensor_v2.__module__, utils._rebuild_tensor_v2 = "torch._utils", _rebuild_tensor_v2
sys.modules.update({"torch": torch, "torch._utils": utils})
Storage = collections.namedtuple("Storage", "key count")


class Tensor:
    def __init__(self, key, dims, strides):
        self.arguments = (Storage(key, dims[0] * dims[1]), 0, dims, strides, False, collections.OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.arguments


class Pickler(pickle.Pickler):
    legacy = False

    def persistent_id(self, thing):
        if isinstance(thing, Storage):
            head = ("storage", torch.FloatStorage, thing.key, "cpu", thing.count)
            return head + (None,) if self.legacy else head
        return None


def pickled(thing, legacy=False):
    buffer = io.BytesIO()
    pickler = Pickler(buffer, 2)
    pickler.legacy = legacy
    pickler.dump(thing)
    return buffer.getvalue()


state = {"model": collections.OrderedDict(a=Tensor("0", (2, 3), (3, 1)), b=Tensor("1", (2, 2), (1, 2)))}
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
    file.writestr("m/data.pkl", pickled(state))
    file.writestr("m/byteorder", "little")
    file.writestr("m/data/0", bytes(24))
    file.writestr("m/data/1", bytes(16))
seed("checkpoint", "zip", archive.getvalue())
parts = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}, state, ["0", "1"]]
storages = b"".join(struct.pack("<q", n) + bytes(4 * n) for n in (6, 4))
seed("checkpoint", "legacy", b"".join(pickled(part, legacy=True) for part in parts) + storages)


def safetensors(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


two = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "F16", "shape": [2, 1], "data_offsets": [8, 12]}}
seed("checkpoint", "safetensors", safetensors(two, bytes(12)))

manifest = json.loads((root / "exported/bundle.json").read_text())
manifest.update(self_test=None, suggestions=manifest["suggestions"][:2], measured=None)
seed("bundle", "manifest", b"\0" + json.dumps(manifest).encode())
chunk = b"TBUTGAL1" + struct.pack("<6I", 1, 2, 1, 4, 0, 0) + struct.pack("<2f", 0.5, 0.25) + bytes(range(8))
seed("bundle", "chunk", b"\1" + chunk)
whole = next(iter(sorted((root / "exported/gallery").glob("meta*.json")))).read_text()
seed("bundle", "metadata", b"\2\2" + json.dumps(json.loads(whole)[:2]).encode())
seed("bundle", "weights", b"\3" + safetensors({"a": two["a"]}, bytes(8)))
seed("bundle", "vocabulary", b"\4[PAD]\n[UNK]\n[CLS]\n[SEP]\nbut\nred\n##s\n")
for path in sorted((root / "model/configs").glob("*.json")):
    seed("bundle", path.stem, b"\5" + path.read_bytes())

def gguf(values, tensors):
    text = lambda t: struct.pack("<Q", len(t.encode())) + t.encode()
    plain = {str: (8, text), int: (4, lambda v: struct.pack("<I", v)), float: (6, lambda v: struct.pack("<f", v)), bool: (7, lambda v: bytes([v]))}

    def value(v):
        if isinstance(v, list):
            kind, write = plain[type(v[0])]
            return struct.pack("<IIQ", 9, kind, len(v)) + b"".join(map(write, v))
        kind, write = plain[type(v)]
        return struct.pack("<I", kind) + write(v)

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values)) + b"".join(text(k) + value(v) for k, v in values.items())
    data = b""
    for name, (dims, kind, content) in tensors.items():
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(data))
        data += content + bytes(-len(content) % 32)
    return head + bytes(-len(head) % 32) + data


sizes = {"embedding_length": 32, "attention.head_count": 4, "attention.head_count_kv": 2, "block_count": 1, "feed_forward_length": 32, "context_length": 64}
values = {"general.architecture": "llama", **{f"llama.{k}": v for k, v in sizes.items()}, "llama.attention.layer_norm_rms_epsilon": 1e-5}
letters = [*map(chr, range(33, 127)), "\u0120", "re", "red"]
tokenizer = {"model": "gpt2", "pre": "smollm", "tokens": letters, "merges": ["r e", "re d"], "token_type": [1] * len(letters), "eos_token_id": 2}
values.update({f"tokenizer.ggml.{k}": v for k, v in tokenizer.items()})
tensors = {"token_embd.weight": ((32, 2), 0, bytes(256)), "a": ((32, 1), 8, bytes(34)), "b": ((32, 1), 3, bytes(20)), "c": ((32,), 2, bytes(18)), "d": ((3,), 1, bytes(6))}
seed("gguf", "whole", gguf(values, tensors))
seed("gguf", "tensors", gguf({"general.alignment": 32}, tensors))
words = root / "tests/golden/llama-words"
seed("gguf", "words", (words / "words.gguf").read_bytes())
seed("tokenizer", "llama-json", b"\0" + (words / "tokenizer.json").read_bytes())
seed("tokenizer", "llama-model", b"\1" + (words / "tokenizer.model").read_bytes())
bytewise = {"model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(letters)}, "merges": ["r e", "re d"]}, "pre_tokenizer": {"type": "ByteLevel"}}
seed("tokenizer", "bytes", b"\0" + json.dumps(bytewise).encode())

texts = {"plain": "but with a red hat", "marks": "this, but … “older” — NOT é café e\u0301", "other": "但是 😀 \u202eשלום ##red [SEP]"}
for name, text in texts.items():
    seed("text", name, text.encode())

values = [0.5, -1.0, 2.0, 0.25, 3.0, -0.125]
stores = {
    "f32": struct.pack("<6f", *values),
    "f16": struct.pack("<6e", *values),
    "int8": struct.pack("<2f", 0.01, 0.02) + bytes([50, 206, 127, 12, 100, 252]),
}
for store, record in stores.items():
    about = json.dumps({"encoder": "e", "tokens": 2, "width": 3, "store": store, "names": ["a", "b"]}).encode()
    content = b"TBUTFEA2" + bytes(56) + record * 2 + about + struct.pack("<Q", len(about))
    seed("features", store, content)
about = json.dumps({"encoder": "e", "tokens": 2, "width": 3, "names": ["a", "b"]}).encode()
head = b"TBUTFEA1" + struct.pack("<Q", len(about)) + about
seed("features", "before", head + bytes(-len(head) % 64) + stores["f16"] * 2)

for path in sorted((root / "model/configs").glob("*.json")):
    seed("configuration", path.stem, path.read_bytes())
before = json.loads((root / "model/configs/tiny.json").read_text())
qformer = before.pop("method")["qformer"]
before.update(qformer={**qformer, "vocabulary": before.pop("text")["vocabulary"]}, text_length=16, temperature=0.07)
del before["target_tokens"]
seed("configuration", "before", json.dumps(before).encode())
