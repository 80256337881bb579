"""Golden values of CLIP's byte-pair tokenizer, from open_clip (OpenAI's rules) and transformers
(pip install open_clip_torch ftfy transformers).

    python tests/golden/clip_tokenizer.py            writes tests/golden/clip-merges.txt.gz and clip_tokenizer.json
    python tests/golden/clip_tokenizer.py --tables   writes model/src/text/clip_tables.rs

The merges are the first 48,894 of OpenAI's `bpe_simple_vocab_16e6.txt`, the ones that the published models use, in the form of
Hugging Face's `merges.txt`. Every text's ids are open_clip's; transformers' are kept for the texts where they differ.
"""

import gzip
import html.entities
import json
import pathlib
import random
import sys
import unicodedata

import ftfy
import open_clip.tokenizer as upstream
import regex

ROOT = pathlib.Path(__file__).resolve().parents[2]
MERGES = 49408 - 512 - 2

NOUNS = "dress shirt skirt t-shirt jacket sofa chair table lamp cat dog horse car bicycle shoe boot hat scarf bag watch ring cup plate spoon bread apple tomato peach onion guitar violin laptop keyboard beach mountain forest lake bridge tower window door garden kitchen bathroom".split()
TRAITS = "red green blue yellow dark bright striped plaid floral sleeveless long short wooden metallic leather knitted old new tiny huge antique minimalist hand-painted see-through off-white v-neck high-waisted".split()
CHANGES = [
    "but {t}", "is {t} and {t}", "make it {t}", "the same {n}, but with a {n}", "don't show the {n}", "it's {t}, isn't it?",
    "they're all {t}", "we've got a {t} {n}", "I'd like {t} {n}s", "she'll wear the {n}", "I'm looking for a {t} {n}",
    "a photo of a {t} {n}", "a photo of a {n}, {t}", "{n} & {n}", "no {n}!!!", "50% off {n}s, $9.99", "({t}) {n} [{t}]",
    "{t}/{t} {n}", "#{n} @{n}", "{n}'s {n}", "the {n}s' {n}", "{t}-{t} {n}", "\"{t}\" {n}", "{n}... {t}???", "size 42 {n} no. 7", "THE {n} IS {t}",
]
# Every kind of text that a tokenizer could read otherwise. Kept free of what ftfy takes for text in the wrong encoding.
STRINGS = [
    "", " ", "  \t\n ", "a", "A", "'", "''", "'s", "'S", "it'S", "'tis", "y'all'd've", "rock'n'roll", "o'clock", "can't've", "dogs' 'll", "’s it’s", "‘quoted’ “double”", "‚low‘ „low“", "5'10\"",
    "café naïve résumé Ångström", "cafe\u0301 nai\u0308ve", "ÀÈÌÒÙ àèìòù ÄËÏÖÜ ñ ç ø ł đ ß ẞ æ œ", "İstanbul ısparta", "ΑΒΓ ΣΟΦΟΣ ΟΔΟΣ. σοφός", "Привет, мир", "ЁЖИК", "Việt Nam tiếng Việt", "Zażółć gęślą jaźń", "Příliš žluťoučký kůň", "Ğüşiöç", "Þór Æsir", "ﬁne ﬂute oﬀer eﬃcient ﬆ ﬅ", "ǆ Ǆ ǅ ŉ ĳ Ĳ ǈ ǌ ǳ",
    "红色的连衣裙", "日本語テキスト", "カタカナ ｶﾀｶﾅ ﾊﾟ", "한국어 텍스트", "ﾡﾢﾣ", "你好，世界。", "㐀䶵一鿿", "\U00020000\U0002A6D6", "ㄅㄆㄇ", "ＬＯＵＤ　ＮＯＩＳＥＳ １２３ ！＃", "￠￡￥￦", "がぎぐ か\u3099",
    "שלום עולם שָׁלוֹם", "مرحبا بالعالم السَّلَامُ", "हिन्दी में लाल", "ภาษาไทย ที่นี่", "தமிழ் நாடு", "ქართული", "ᲥᲐᲠ", "Հայերեն", "አማርኛ", "ᏣᎳᎩ", "ខ្មែរ", "བོད་ཡིག", "ⵜⵉⴼⵉⵏⴰⵖ", "𐐀𐐨", "𝐁𝐨𝐥𝐝 𝒮𝒸", "ⓐⓑⒸ", "Ⅷ ⅷ ½ ² ³ ⅔", "٠١٢ ०१२ ๑๒", "①②③ ⑴",
    "😀", "red 😀 dress", "👩‍👩‍👧‍👦 family", "👍🏽", "🇬🇧🇫🇷", "1️⃣ #️⃣", "❤️❤☃️", "🧑🏿‍🦰", "🤷‍♀️ but ♂", "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f", "🫠🫶🫨", "😀😀😀😀", "a😀b", "🥲!",
    "&amp;", "red &amp; blue", "&lt;b&gt;bold&lt;/b&gt;", "&amp;lt;", "&amp;amp;amp;lt; x", "&eacute;t&eacute;", "P&EACUTE;REZ", "&nbsp;x&nbsp;", "&hellip; it&#x2019;s", "&#39;s &#169; &#8364;", "&#x1F600;", "&#0; &#128; &#150; &#xD800; &#1114112; &#31;", "&copy2020 &ampx &notit", "AT&T R&D", "&unknown; &", "&; &# &#x", "x &lt y &gt z", "<p>a &amp; b</p>", "<br>&rsquo;s", "&rsquo;s &ldquo;x&rdquo;", "&quot;q&quot; &apos;s", "&frac12; &times; &deg;", "&Alpha;&beta;&rarr;", "a<b\n&rsquo;c", "&rsquo;c\na<b", "&AMP;&LT;&COPY;", "&szlig; &SZLIG;",
    "zero\u200bwidth", "soft\u00adhyphen", "\ufeffbom", "nul\x00byte", "\x01\x02", "a\x7fb", "a\x0bb\x0cc", "\x1b[31mred\x1b[0m", "no\u00a0break", "thin\u2009hair\u200a", "line\u2028para\u2029end", "cr\rlf\r\nend", "\ufffd", "\ue000", "\U000F0000", "\ufffc object", "\u180e", "\u061c alm", "\u202eabc\u202c", "tab\tsep", " lead and trail ", "a  b   c",
    "!\"#$%&'()*+,-./", ":;<=>?@[\\]^_`{|}~", "¡¿«»‹›", "– — ― ‐ ‑", "… ‥ · •", "§¶†‡", "©®™°±×÷", "、。〈〉", "؟،؛", "।॥", "№ ℃ ℉ Å K Ω", "€£¥₹₿", "→←⇒∀∃∞", "█▓░", "☀☁☂ ♠♥♦♣", "\u0300", "a\u0300\u0301\u0302b", "\u20dd", "Z̷̢͠a̸l̵g̶o̴", "snake_case camelCase", "C++ C# .NET", "1,000,000.50", "3.14159", "2024-01-31T12:34:56Z", "0x1F", "a1b2c3", "mail@example.org", "http://example.com/a?b=c&d=e#f", "100km/h", "....", "-----", "!?!?!?", ":-) ;) <3", "x²+y²", "U+1F600", "e.g. i.e.", "😀😀 ok!!", "'''", "\"'s\"", "!'s", "a'b'c",
    "antidisestablishmentarianism", "supercalifragilisticexpialidocious", "xqzjkvw", "q" * 40, "ab" * 60, "na" * 99, "z" * 500, "1234567890" * 5, "!" * 100, "é" * 80, "漢" * 90,
    "word " * 74, "word " * 75, "word " * 76, "word " * 200, "a " * 75 + "b", "red, " * 40, "don't " * 30, "😀 " * 30,
    "it'ſ ’ſo 'ſt", "a\u0345b \u0345 ᾳ\u0345!\u0345?",
]
ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEF ghi 123", "abc'st re ve ll d m", "àâäçéèêëîïôöùûüÿ abc", "абвгдежзийклмнопрстуфхцчшщъыьэюя ", "αβγδεζηθικλμνξοπρστυφχψω ", "一二三四五六七八九十红黄蓝绿", "あいうえおかきくけこアイウエオ", "가나다라마바사아자차",
    "ابتثجحخدذرزسش ", "😀😁😂🤣😃👍🏽❤️☀️ ", "!?.,;:-_()[]{}#$%^*+=/\\|~`\"' ab", "0123456789 .,%", "ไทยภาษา ที่นี่",
]


def texts():
    draw = random.Random(17)
    out = list(STRINGS)
    for _ in range(900):
        change = draw.choice(CHANGES)
        while "{n}" in change or "{t}" in change:
            change = change.replace("{n}", draw.choice(NOUNS), 1).replace("{t}", draw.choice(TRAITS), 1)
        out.append(change)
    for _ in range(500):
        alphabet = draw.choice(ALPHABETS)
        out.append("".join(draw.choice(alphabet) for _ in range(draw.randint(1, 60))))
    words = [token.replace("</w>", "") for token in upstream._tokenizer.encoder]
    words = [word for word in words if word.isascii() and word.isalpha()]
    for _ in range(500):
        glue = draw.choice(["", " ", " ", "-", ", "])
        out.append(glue.join(draw.choice(words) for _ in range(draw.randint(2, 12))))
    for _ in range(150):
        out.append("".join(chr(draw.choice([draw.randint(0xC0, 0x24F), draw.randint(0x370, 0x1FFF), draw.randint(0x3000, 0xD7FF), draw.randint(0x1F300, 0x1FAFF)])) for _ in range(draw.randint(1, 14))))
    unique = list(dict.fromkeys(out))
    kept = [text for text in unique if ftfy.fix_text(text, fix_encoding=False) == ftfy.fix_text(text)]
    print(f"{len(unique)} texts, {len(unique) - len(kept)} that ftfy takes for another encoding left out")
    return kept


def golden(folder):
    from tokenizers import Tokenizer  # noqa: F401
    from transformers import CLIPTokenizer

    lines = gzip.open(upstream.default_bpe()).read().decode("utf-8").split("\n")[1 : MERGES + 1]
    merges = "#version: 0.2\n" + "\n".join(lines) + "\n"
    (folder / "clip-merges.txt.gz").write_bytes(gzip.compress(merges.encode("utf-8"), 9, mtime=0))
    ours = upstream._tokenizer
    vocabulary = {token: i for token, i in ours.encoder.items() if i < 49406}
    vocabulary |= {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
    theirs = CLIPTokenizer(vocab=vocabulary, merges=[tuple(line.split()) for line in lines])
    cases, differ = [], 0
    for text in texts():
        row = upstream.tokenize([text])[0].tolist()
        ids = row[: row.index(49407) + 1]
        case = {"text": text, "ids": ids}
        other = theirs(text, truncation=True, max_length=77)["input_ids"]
        if other != ids:
            differ += 1
            case["transformers"] = other
        cases.append(case)
    print(f"{len(cases)} texts, transformers' ids differ on {differ}")
    body = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (folder / "clip_tokenizer.json").write_text("[" + body + "]\n")


def ranges(test):
    out, start = [], None
    for code in [*range(0x110000), None]:
        inside = code is not None and not 0xD800 <= code < 0xE000 and test(chr(code))
        if inside and start is None:
            start = code
        if not inside and start is not None:
            out.append((start, code - 1))
            start = None
    return out


def rows(items, width=10):
    return [f"    {', '.join(items[at:at + width])}," for at in range(0, len(items), width)]


def tables():
    names = html.entities.name2codepoint | {"apos": 0x27, "AMP": 0x26, "LT": 0x3C, "GT": 0x3E, "QUOT": 0x22, "COPY": 0xA9, "REG": 0xAE}
    entities = [f'("{name}", {code:#x}, {str(name in html.entities.html5).lower()})' for name, code in sorted(names.items())]
    widths = []
    for code in range(0xFF01, 0xFFF0):
        other = unicodedata.normalize("NFKC", chr(code))
        # U+FFE3 becomes a space and a macron: byte_pairs.rs knows that.
        widths.append(f"{ord(other):#x}" if other != chr(code) and len(other) == 1 else "0x0")
    letter = regex.compile(r"\p{L}")
    letters = [f"({a:#x}, {b:#x})" for a, b in ranges(lambda c: letter.match(c))]
    text = "\n".join([
        "//! Tables of CLIP's tokenizer. Written by `tests/golden/clip_tokenizer.py --tables`; don't edit by hand.",
        "", "/// Letters, Unicode's category L. Inclusive ranges, ascending.", "#[rustfmt::skip]",
        "pub(super) const LETTERS: &[(u32, u32)] = &[", *rows(letters, 6), "];",
        "", "/// The usual forms of the half- and full-width characters from U+FF01 to U+FFEF; 0 where there is none.", "#[rustfmt::skip]",
        "pub(super) const WIDTHS: &[u16] = &[", *rows(widths, 14), "];",
        "", "/// HTML 4's named characters: name, code point, and whether it is known without a semicolon. By name.", "#[rustfmt::skip]",
        "pub(super) const ENTITIES: &[(&str, u32, bool)] = &[", *rows(entities, 4), "];", "",
    ])
    (ROOT / "model/src/text/clip_tables.rs").write_text(text)


if __name__ == "__main__":
    tables() if "--tables" in sys.argv else golden(ROOT / "tests/golden")
