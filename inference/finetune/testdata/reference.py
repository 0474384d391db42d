#!/usr/bin/env python3
"""Records what PyTorch makes of the first steps of a fine-tuning, and times a step.

    python3 reference.py losses MODEL_FOLDER CSV OUT.json
    python3 reference.py time MODEL_FOLDER TOKENS STEPS [THREADS]   # TOKENS: a length, or a CSV for texts as they are

Needs torch and transformers (pip install torch transformers); the product needs neither.
Model: BertModel in float32 on the CPU, mean over the mask, unit length, times the root
of the hidden size, one linear layer. AdamW with decay on matrices only, linear warm-up
and decay, clipping by the global norm.
"""
import csv
import gzip
import json
import math
import resource
import sys
import time

import torch
from transformers import BertModel, BertTokenizerFast

RATE, HEAD_RATE, DECAY, CLIP, WARMUP, STEPS, BATCH = 1e-4, 1e-3, 0.01, 1.0, 2, 8, 8


class Classifier(torch.nn.Module):
    def __init__(self, folder, classes, dropout):
        super().__init__()
        rates = {} if dropout else {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        self.bert = BertModel.from_pretrained(folder, add_pooling_layer=False, **rates)
        h = self.bert.config.hidden_size
        self.drop = torch.nn.Dropout(self.bert.config.hidden_dropout_prob)
        self.head = torch.nn.Linear(h, classes)
        with torch.no_grad():  # a start that needs no generator to be repeated
            i = torch.arange(classes * h, dtype=torch.float64)
            self.head.weight.copy_((0.02 * torch.sin(1.7 * i + 0.3)).reshape(classes, h))
            self.head.bias.zero_()

    def forward(self, ids, mask):
        x = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        m = mask.unsqueeze(-1).float()
        mean = (x * m).sum(1) / m.sum(1)
        unit = torch.nn.functional.normalize(mean, dim=-1, eps=1e-12)
        return self.head(self.drop(unit * math.sqrt(unit.shape[-1])))


def optimizer(model):
    groups = {}
    for name, p in model.named_parameters():
        key = (name.startswith("head."), p.dim() > 1)
        groups.setdefault(key, []).append(p)
    return torch.optim.AdamW(
        [{"params": p, "lr": HEAD_RATE if head else RATE, "weight_decay": DECAY if matrix else 0.0} for (head, matrix), p in groups.items()],
        betas=(0.9, 0.999), eps=1e-8)


def step(model, opt, ids, mask, labels, factor):
    loss = torch.nn.functional.cross_entropy(model(ids, mask), labels)
    opt.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    rates = [g["lr"] for g in opt.param_groups]
    for g, r in zip(opt.param_groups, rates):
        g["lr"] = r * factor
    opt.step()
    for g, r in zip(opt.param_groups, rates):
        g["lr"] = r
    return loss.item(), norm.item()


def pad(rows):
    longest = max(map(len, rows))
    ids = torch.tensor([r + [0] * (longest - len(r)) for r in rows])
    mask = torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r in rows])
    return ids, mask


def factor(t, warmup, total):
    return t / warmup if t <= warmup else (total - t + 1) / (total - warmup + 1)


def texts(folder, path, n):
    rows = list(csv.DictReader(gzip.open(path, "rt")))
    rows = [r for r in rows if r["split"] == "train"]
    rows = rows[:: len(rows) // n][:n]
    tok = BertTokenizerFast(tokenizer_file=folder + "/tokenizer.json")
    tok.backend_tokenizer.no_padding()
    return [tok(r["text"], truncation=True, max_length=128)["input_ids"] for r in rows], [r["domain"] for r in rows]


def losses(folder, path, out):
    ids, domains = texts(folder, path, STEPS * BATCH)
    names = sorted(set(domains))
    # Not in the file's order, which is by label.
    order = [i * 37 % len(ids) for i in range(len(ids))]
    labels = [names.index(domains[i]) for i in order]
    ids = [ids[i] for i in order]
    model = Classifier(folder, len(names), dropout=False)
    model.train()
    opt, record = optimizer(model), {"loss": [], "norm": []}
    for t in range(STEPS):
        b = slice(t * BATCH, (t + 1) * BATCH)
        l, n = step(model, opt, *pad(ids[b]), torch.tensor(labels[b]), factor(t + 1, WARMUP, STEPS))
        record["loss"].append(round(l, 7))
        record["norm"].append(round(n, 6))
    with open(out, "w") as f:
        json.dump({"torch": torch.__version__, "classes": len(names), "batch": BATCH, "rate": RATE, "head_rate": HEAD_RATE, "decay": DECAY, "clip": CLIP,
                   "warmup": WARMUP, "ids": ids, "labels": labels, **record}, f)
        f.write("\n")


def timed(folder, tokens, steps, threads=1):
    torch.set_num_threads(threads)  # with more, waiting threads spin, which counts as CPU time
    if tokens.isdigit():
        g = torch.Generator().manual_seed(1)
        rows = [torch.randint(1000, 30000, (int(tokens),), generator=g).tolist() for _ in range(32 * steps)]
    else:
        rows, _ = texts(folder, tokens, 32 * steps)
    model = Classifier(folder, 10, dropout=True)
    model.train()
    opt = optimizer(model)
    for t in range(steps):
        if t == 1:  # the first step allocates
            wall, cpu = time.time(), time.process_time()
        step(model, opt, *pad(rows[t * 32:(t + 1) * 32]), torch.tensor([i % 10 for i in range(32)]), 1.0)
    print(f"torch {torch.__version__} {threads} threads {torch.backends.cpu.get_cpu_capability()} tokens {tokens}: {(time.process_time() - cpu) / (steps - 1):.3f} CPU-s a step, "
          f"{(time.time() - wall) / (steps - 1):.3f} s wall, peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    {"losses": lambda a: losses(*a), "time": lambda a: timed(a[0], a[1], *map(int, a[2:]))}[sys.argv[1]](sys.argv[2:])
