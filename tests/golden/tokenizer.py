"""Golden values of the WordPiece tokeniser, from Hugging Face's `tokenizers` (pip install tokenizers).

    python tests/golden/tokenizer.py VOCAB.txt            writes tests/golden/tokenizer.json
    python tests/golden/tokenizer.py VOCAB.txt --tables   writes model/src/text/tables.rs

VOCAB.txt is BERT-uncased's vocabulary. The fixture carries its own small vocabulary: the pieces that the strings use,
and enough neighbours that a wrong split would show. The tables are the character classes that upstream really uses,
read off its behaviour on every code point, because its Unicode version isn't the newest.
"""

import json
import pathlib
import random
import sys

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

STRINGS = [
    "", " ", "\t\n\r", "a", "is the same but has longer sleeves", "Make it RED, please!", "don't  change the collar's colour",
    "the dress is shorter/tighter & more blue-ish", "sleeveless v-neck t-shirt w/ 3/4 sleeves", "50% off $9.99 €5 £3 ¥100",
    "unaffable unbelievable antidisestablishmentarianism", "supercalifragilisticexpialidocious", "xqzjkvw", "qqqqqqqqqq",
    "a" * 99, "a" * 100, "a" * 101, "a" * 1000, "b" * 100 + " red", "é" * 100, "é" * 101, "e\u0301" * 101, "e\u0301" * 100,
    "café naïve résumé Ångström", "cafe\u0301 nai\u0308ve", "ÀÈÌÒÙ àèìòù ÄËÏÖÜ ñ ç ø ł đ ß ẞ æ œ", "İstanbul ıspanak I i", "ΑΒΓ ΣΟΦΟΣ σοφός ς",
    "Ὀδυσσεύς ᾳ ῼ", "ЁЖИК ёжик Й й", "Việt Nam tiếng Việt", "ǅ Ǆ ǆ ﬁ ﬂ ﬀ", "Åﬃn K Å Ω", "你好，世界。", "红色的裙子but长袖", "日本語テキスト ﾃｷｽﾄ", "カ゛ガ が か\u3099",
    "한국어 텍스트", "ㄱㄴㄷ ᄀ\u1161", "㐀䶵一鿿豈﫿", "\U00020000\U0002A6DF\U0002A700\U0002B73F\U0002B740\U0002B81F\U0002B820\U0002B91F\U0002B920\U0002CEAF\U0002F800\U0002FA1F",
    "شال أحمر لكن أطول", "السَّلَامُ عَلَيْكُمْ", "שלום עולם שָׁלוֹם", "\u202eevil rtl\u202c text", "\u2066left\u2069 \u200fmark\u200e", "हिन्दी में लाल", "ภาษาไทย ที่นี่", "தமிழ்", "ქართული ᲥᲐᲠ", "ᏣᎳᎩ ꭰ",
    "red 😀 dress", "😀", "👩‍👩‍👧‍👦 family", "👍🏽 ok", "🇬🇧🇫🇷 flag", "1️⃣ keycap #️⃣", "❤️ ❤ ☃️", "🧑🏿‍🦰", "a😀b", "🤷‍♀️ make it ♀",
    "zero\u200bwidth", "zero\u200cnon\u200djoiner", "\ufeffbom", "soft\u00adhyphen", "word\u2060joiner", "nul\x00byte", "\x01\x02\x03", "a\x7fb", "\x80\x9f c1", "\x1c\x1d\x1e\x1f sep", "a\x0bb\x0cc\x85d", "\ufffd replacement", "no\u00a0break", "en\u2002em\u2003thin\u2009hair\u200a", "ogham\u1680space", "line\u2028para\u2029end", "narrow\u202fmath\u205fideo\u3000end", "\ue000 private \uf8ff", "\U000F0000 \U0010FFFD", "\U0010FFFF \ufdd0", "\u180e mongolian", "\U000E0001\U000E0041 tag", "\u0378 unassigned", "\U0001D173 music",
    "!\"#$%&'()*+,-./", ":;<=>?@[\\]^_`{|}~", "¡¿«»‹›“”‘’„‚", "– — ― ‐ ‑ ‒", "… ‥ · • ‣", "§ ¶ † ‡", "© ® ™ ° ± × ÷", "、。〈〉《》「」", "！＂＃％＆＇（）＊", "𐄀 𐄁 𐎟", "᠀ ᠁", "؟ ، ؛ ٪", "। ॥", "፡ ። ፣", "⁅⁆ ⌈x⌉ ⟦y⟧", "㊙ ㍿ ㌔", "¼ ½ ¾ ² ³ ¹ ⅓", "№ ℃ ℉ Å", "ⅠⅡⅢ ⅰⅱⅲ ⓐⓑ", "𝐁𝐨𝐥𝐝 𝒮𝒸𝓇𝒾𝓅𝓉", "Ｆｕｌｌ ｗｉｄｔｈ １２３", "Z̷̢͠a̸l̵g̶o̴", "a\u0300\u0301\u0302\u0303\u0304\u0305b", "\u0300", "\u20dd\u20e3", "a\u0903b \u0949", "\u0488\u0489 enclosing",
    "hello,world", "hello , world", "...", "a.b.c", "--", "- -", "'", "''quoted''", "\"double\"", "#hash ##double ###", "## ##s ##ing", "@user http://example.com/a?b=c&d=e#f", "mail@example.org", "C++ C# F# .NET", "snake_case camelCase kebab-case", "1,000,000.50", "3.14159", "2024-01-31T12:34:56Z", "0x1F", "a1b2c3", "x²+y²=z²", "100km/h", "Nº 5", "5'10\"", "ALLCAPS lower MiXeD",
    "[unk] [cls]", "un##able", "the the the the", "be the same but has a hat instead of a helmet, and no beard", "turn around and face left", "Make her older; blond hair.", "not a man - a woman!!!", "with dark(er) skin tone", "same person but as a firefighter", "swap the laptop for a wrench", "less smiling, more frowning", "withuot glases", "raising  both   hands", "remove the crown & add a veil", "now holding a microphone", "\"princess\" instead of prince",
    "mother\u2010in\u2010law", "rock’n’roll", "l’été d’été", "O'Neill", "state-of-the-art", "e.g. i.e. etc.", "Ph.D.", "α-helix β", "naı̈ve", "ŀ ŉ ǰ", "Ǳ ǲ ǳ", "ꙁ Ꙁ", "𐐀 𐐨", "𞤀 𞤢", "ﬀ ﬆ", "ﷺ", "\u1e9b\u0323", "\u0130\u0307", "Å\u030a", "\u1100\u1161\u11a8", "각", "\uac01\u0301",
    "\ud7ff\ue001", "tab\tsep", "cr\rlf\nend", "  lead and trail  ", "日 本 語", "a日b本c", "٠١٢٣ ०१२३", "ￂￇ", "\ufe0f", "\u034f cgj", "\u061c alm", "\u115f\u1160 filler", "\u17b4\u17b5 khmer", "ᄒᆞᆫ글", "۝ ࣢", "𑂽 x", "\u06dd\u070f", "𛲠", "␀ ␛", "⠓⠑⠇⠇⠕", "♠♥♦♣ ♔", "→ ← ⇒ ∀ ∃ ∞", "█ ▓ ░", "☀ ☁ ☂", "₿ ₹ ₽", "ʼn ʻokina", "ʰʷʸ ˈstress", "‖ ‗ ′ ″", "⸮ ⸺ ⹀", "꓾ ꓿ ꘍", "꯫ ﴾ ﴿", "︰ ﹏ ﹐ ﹫", "｟｠｡｢｣", "𝨇 𑁇 𑅀",
]


def tokenizer(vocabulary):
    """BERT-uncased as `BertTokenizerFast` builds it, without the added tokens: ours never sees any in cleaned text."""
    t = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    return t


def golden(vocab_path):
    lines = pathlib.Path(vocab_path).read_text(encoding="utf-8").split("\n")
    full = {line: i for i, line in enumerate(lines) if line}
    rng = random.Random(7)
    strings = list(STRINGS)
    words = [w for w in full if not w.startswith("[")]
    for _ in range(40):  # glued pieces: splits that greedy matching must get right
        strings.append("".join(w.removeprefix("##") for w in rng.sample(words, rng.randint(1, 4))) + rng.choice(["", " red", "!"]))
    for _ in range(20):  # any code points
        strings.append("".join(chr(rng.choice([rng.randint(1, 0x2FF), rng.randint(0x300, 0xD7FF), rng.randint(0xE000, 0x1FFFF)])) for _ in range(12)))
    t = tokenizer(full)
    pieces = {p for s in strings for p in t.encode(s).tokens}
    pieces |= {w for w in words if len(w.removeprefix("##")) == 1 and w.isascii()}
    pieces |= set(rng.sample(words, 300))
    small = SPECIAL + sorted(pieces - set(SPECIAL))
    t = tokenizer({p: i for i, p in enumerate(small)})
    cases = [{"text": s, "ids": t.encode(s).ids} for s in strings]
    out = {"vocab": small, "cases": cases}
    path = ROOT / "tests/golden/tokenizer.json"
    path.write_text(json.dumps(out, ensure_ascii=True, separators=(",", ":")).replace("},{", "},\n{") + "\n")
    print(f"{path}: {len(cases)} cases over {len(small)} pieces")


def ranges(test):
    out, start = [], None
    for c in [*range(0x110000), None]:
        hit = c is not None and not 0xD800 <= c < 0xE000 and test(chr(c))
        # A run may jump the surrogates: no `char` lies there.
        if c is not None and 0xD800 <= c < 0xE000:
            continue
        if hit and start is None:
            start = c
        elif not hit and start is not None:
            out.append((start, last))
            start = None
        last = c
    return out


def tables():
    off = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    clean = normalizers.BertNormalizer(**(off | {"clean_text": True}))
    strip = normalizers.BertNormalizer(**(off | {"strip_accents": True}))
    cjk = normalizers.BertNormalizer(**(off | {"handle_chinese_chars": True}))
    bert = pre_tokenizers.BertPreTokenizer()
    classes = {
        "REMOVED": ("Control, format and private-use characters: dropped.", lambda c: clean.normalize_str(c) == ""),
        "ACCENTS": ("Non-spacing marks: dropped after canonical decomposition.", lambda c: strip.normalize_str(c) == ""),
        "IDEOGRAPHS": ("Characters that are words of their own.", lambda c: cjk.normalize_str(c) == f" {c} "),
        "PUNCTUATION": ("Characters that split words and stand alone.", lambda c: len(bert.pre_tokenize_str(f"a{c}a")) == 3),
    }
    text = ["//! Character classes of the BERT-uncased tokeniser, as upstream's tables have them.", "//! Written by `tests/golden/tokenizer.py --tables`; don't edit by hand.", ""]
    for name, (doc, test) in classes.items():
        text += [f"/// {doc} Inclusive ranges, ascending.", f"pub(super) const {name}: &[(u32, u32)] = &["]
        text += [f"    ({a:#x}, {b:#x})," for a, b in ranges(test)]
        text += ["];", ""]
    path = ROOT / "model/src/text/tables.rs"
    path.write_text("\n".join(text))
    print(path)


if __name__ == "__main__":
    tables() if "--tables" in sys.argv else golden(sys.argv[1])
