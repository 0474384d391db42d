#!/usr/bin/env python3
"""Records reference vectors of the encoder from its original weights.

Independent of the product: reads config.json, vocab.txt and model.safetensors itself,
splits words itself, and computes in float64. It knows neither our ONNX graph nor any
inference runtime. Needs numpy only.

    python3 reference.py MODEL_FOLDER OUT_FOLDER

writes reference.json.gz (texts and their token ids) and reference.f32.gz (one row of
hidden_size little-endian float32 a text).
"""
import gzip
import json
import math
import random
import struct
import sys
import unicodedata

import numpy as np

LIMIT = 128


def read_weights(path):
    with open(path, "rb") as f:
        blob = f.read()
    size = struct.unpack("<Q", blob[:8])[0]
    header = json.loads(blob[8 : 8 + size])
    data = blob[8 + size :]
    weights = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = entry["data_offsets"]
        weights[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"]).astype(np.float64)
    return weights


def is_punctuation(c):
    o = ord(c)
    if 33 <= o <= 47 or 58 <= o <= 64 or 91 <= o <= 96 or 123 <= o <= 126:
        return True
    return unicodedata.category(c).startswith("P")


def is_ideograph(c):
    o = ord(c)
    return any(
        a <= o <= b
        for a, b in (
            (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
            (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
        )
    )


def words(text):
    chars = []
    for c in text:
        if c in "\t\n\r" or unicodedata.category(c) == "Zs":
            chars.append(" ")
        elif ord(c) in (0, 0xFFFD) or unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs"):
            continue
        elif is_ideograph(c):
            chars.append(" " + c + " ")
        else:
            chars.append(c)
    text = unicodedata.normalize("NFD", "".join(chars))
    text = "".join(c for c in text if unicodedata.category(c) != "Mn").lower()
    for word in text.split():
        part = ""
        for c in word:
            if is_punctuation(c):
                if part:
                    yield part
                yield c
                part = ""
            else:
                part += c
        if part:
            yield part


def tokenize(text, vocab):
    ids = []
    for word in words(text):
        pieces, start = [], 0
        if len(word) > 100:
            ids.append(vocab["[UNK]"])
            continue
        while start < len(word):
            end = len(word)
            while end > start:
                piece = ("##" if start else "") + word[start:end]
                if piece in vocab:
                    break
                end -= 1
            if end == start:
                pieces = [vocab["[UNK]"]]
                break
            pieces.append(vocab[piece])
            start = end
        ids += pieces
    return [vocab["[CLS]"]] + ids[: LIMIT - 2] + [vocab["[SEP]"]]


ERF = np.vectorize(math.erf, otypes=[np.float64])


def encode(ids, w, config):
    """One text alone, without padding: [len(ids)] -> [hidden]."""
    heads, eps = config["num_attention_heads"], config["layer_norm_eps"]

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
        return x * w[name + ".weight"] + w[name + ".bias"]

    def linear(x, name):
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    e = "embeddings."
    x = w[e + "word_embeddings.weight"][ids] + w[e + "token_type_embeddings.weight"][0]
    x = norm(x + w[e + "position_embeddings.weight"][: len(ids)], e + "LayerNorm")
    n, hidden = x.shape
    split = lambda y: y.reshape(n, heads, hidden // heads).transpose(1, 0, 2)
    for i in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        q, k, v = (split(linear(x, p + "attention.self." + s)) for s in ("query", "key", "value"))
        score = q @ k.transpose(0, 2, 1) / math.sqrt(hidden // heads)
        score = np.exp(score - score.max(-1, keepdims=True))
        mixed = (score / score.sum(-1, keepdims=True)) @ v
        mixed = mixed.transpose(1, 0, 2).reshape(n, hidden)
        x = norm(x + linear(mixed, p + "attention.output.dense"), p + "attention.output.LayerNorm")
        h = linear(x, p + "intermediate.dense")
        h = 0.5 * h * (1 + ERF(h / math.sqrt(2)))
        x = norm(x + linear(h, p + "output.dense"), p + "output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def texts():
    r = random.Random(20261125)
    english = [
        "The jacket arrived late and the zip broke within a week.", "lovely scented candle, will buy again",
        "Regular buyer, bought this week. Browsing garden furniture.", "Refund requested: wrong size",
        "white hanging heart t-light holder", "Where is my order?", "jumbo bag red retrospot", "assorted colour bird ornament",
        "Quiet for months after one small order", "searching for waterproof hiking boots size 43",
    ]
    chinese = ["质量很好，物流很快，会再次购买", "衣服太小了，想要退货", "无线蓝牙耳机", "客服态度不好，非常失望", "红色连衣裙 夏季新款",
               "买了两次，都很满意！", "搜索：儿童雨衣", "这个杯子收到时已经碎了", "春节礼盒", "經典款運動鞋"]
    other = ["👍👍 great!!! 🎉", "🙂", "café crème brûlée à la carte", "Größe passt nicht, naïve façade", "ΑΒΓ Δοκιμή", "привет мир",
             "ありがとうございます", "한국어 텍스트", "مرحبا بالعالم", "ｆｕｌｌｗｉｄｔｈ ＡＢＣ", "e\u0301 combining", "co-operate; e-mail: a@b.com",
             "50% off!!! $12.99 (was £20)", "#hashtag @someone http://example.com/a?b=c&d=e", "tab\tand\nnewline\r\nreturn",
             "zero\u200bwidth", "\ufeffmark first", "non\u00a0breaking space", "I\u0307stanbul İstanbul", "ﬁne ligature"]
    odd = ["", " ", "\n\t ", ".", "a", "?!...,,;;", "x" * 99, "x" * 100, "x" * 101, "\u4e2d", "0", "-1", "[", "##ing", "\U0001f9d1\u200d\U0001f4bb", "\u2028"]
    out = english + chinese + other + odd
    vocabulary = " ".join(english).split() + chinese + other
    while len(out) < 190:
        out.append(" ".join(r.choice(vocabulary) for _ in range(r.choice((3, 8, 14, 20, 30, 45)))))
    while len(out) < 200:
        out.append(" ".join(r.choice(vocabulary) for _ in range(r.choice((100, 140, 300)))))
    return out


def main(model, out):
    with open(model + "/config.json") as f:
        config = json.load(f)
    with open(model + "/vocab.txt", encoding="utf-8") as f:
        vocab = {line.rstrip("\n"): i for i, line in enumerate(f)}
    weights = {k.removeprefix("bert."): v for k, v in read_weights(model + "/model.safetensors").items()}
    rows = [{"text": t, "ids": tokenize(t, vocab)} for t in texts()]
    vectors = np.stack([encode(row["ids"], weights, config) for row in rows]).astype("<f4")
    for name, blob in (
        ("reference.json.gz", json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()),
        ("reference.f32.gz", vectors.tobytes()),
    ):
        with open(out + "/" + name, "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
            z.write(blob)
    print(len(rows), "texts,", vectors.shape[1], "dimensions, tokens", sum(len(x["ids"]) for x in rows))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
