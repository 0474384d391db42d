#!/usr/bin/env python3
"""Compares the oracle's tables with dumps of the ClickHouse views, cell by cell.

    python3 compare.py --expected DIR [--latest F] [--days F] [--accounting F]
                       [--bad F] [--late F]

Each F is a dump of one view (profiles_latest, profile_days, accounting,
bad_events, late_events) as TabSeparatedWithNames or JSONEachRow; columns may
come in any order, and others are ignored. Rows that are missing, extra, twice
or different are listed (the first 20 of each table); what was compared is
printed, and the exit is 1 on any difference, 2 where a dump cannot be compared.
"""

import argparse
import json
import os
import re
import sys
from datetime import datetime, timezone
from fractions import Fraction
from functools import lru_cache

import features

MAX_LISTED = 20
FLOAT_TOLERANCE = 1e-12
DISTINCT_TOLERANCE = 0.10

TABLES = {
    "latest": ("profiles_latest.tsv", ["user_id"], ["as_of"] + features.COLUMNS),
    "days": ("profile_days.tsv", ["user_id", "as_of"], features.COLUMNS),
    "accounting": ("accounting.tsv", ["source_topic", "source_partition"],
                   ["records", "applied", "duplicates", "late", "dead_lettered"]),
    "bad": ("bad_events.tsv", ["source_topic", "source_partition", "source_offset"], ["reason", "field"]),
    "late": ("late_events.tsv", ["source_topic", "source_partition", "source_offset"], []),
}
TIME_COLUMNS = features.TIMES | {"as_of"}
TEXT_COLUMNS = {"user_id", "source_topic", "reason", "field"}
_UNESCAPE = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "'": "'", "a": "\a", "v": "\v"}


class Unusable(Exception):
    """A dump that cannot be compared."""


def unescape(s):
    if "\\" not in s:
        return s
    return re.sub(r"\\(.)", lambda m: _UNESCAPE.get(m.group(1), m.group(0)), s, flags=re.S)


def rows(path):
    """Yields the names of a dump's columns, and then each row as a list of texts, None for NULL."""
    with open(path, encoding="utf-8", newline="\n") as f:
        first = f.readline().rstrip("\n")
        if first.startswith("{"):
            names = list(json.loads(first))
            yield names
            while first.strip():
                d = json.loads(first, parse_int=str, parse_float=str)
                if d.keys() != set(names):
                    raise Unusable("%s: rows of different columns" % path)
                yield [d[n] for n in names]
                first = f.readline()
            return
        names = first.split("\t")
        if "" in names:
            raise Unusable("%s: no header" % path)
        yield names
        for line in f:
            cells = line.rstrip("\n").split("\t")
            if len(cells) != len(names):
                raise Unusable("%s: %d cells under %d names" % (path, len(cells), len(names)))
            yield [None if v == "\\N" else unescape(v) for v in cells] if "\\" in line else cells


def table(path, key, columns):
    """Yields (key, cells) of a dump's rows: the key in compared form, the cells as texts."""
    lines = rows(path)
    names = next(lines)
    absent = [c for c in key + columns if c not in names]
    if absent:
        raise Unusable("%s: no column %s" % (path, ", ".join(absent)))
    at_key, at_cells = [names.index(c) for c in key], [names.index(c) for c in columns]
    for row in lines:
        yield tuple(normal(c, row[i]) for c, i in zip(key, at_key)), [row[i] for i in at_cells]


@lru_cache(maxsize=100000)
def millis(v):
    """A time as ClickHouse prints it, or milliseconds, as milliseconds."""
    v = str(v)
    if re.fullmatch(r"-?[0-9]+", v):
        return int(v)
    m = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z?", v)
    if m is None:
        raise Unusable("no time: %r" % v)
    t = datetime(*(int(x) for x in m.group(1, 2, 3, 4, 5, 6)), tzinfo=timezone.utc)
    return int(t.timestamp()) * 1000 + int(((m.group(7) or "") + "000")[:3])


@lru_cache(maxsize=100000)
def normal(column, v):
    """A cell in the form in which it is compared."""
    if v is None:
        return None
    if column in TEXT_COLUMNS:
        return v
    if column in TIME_COLUMNS:
        return millis(v)
    if column == "mean_order_gap_days":
        return float(v)
    x = Fraction(v)
    return int(x) if x.denominator == 1 else x


def same(column, want, got, approximate):
    """Whether two cells, as texts, have one meaning; equal texts have."""
    if want == got:
        return True
    if want is None or got is None:
        return False
    want, got = normal(column, want), normal(column, got)
    if column == "mean_order_gap_days":
        return abs(want - got) <= FLOAT_TOLERANCE * max(abs(want), abs(got), 1)
    if column in approximate:
        return abs(want - got) <= DISTINCT_TOLERANCE * want
    return want == got


def expected(path, key, columns):
    """The oracle's rows: key -> (cells, names of the columns that may be 10 % off)."""
    with open(path, encoding="utf-8") as f:
        loose = f.readline().rstrip("\n").split("\t")[-1] == "approximate"
    out = {}
    for k, cells in table(path, key, columns + ["approximate"] * loose):
        out[k] = (cells[:-1], set(filter(None, cells[-1].split(",")))) if loose else (cells, set())
    return out


def compare(name, folder, dump):
    """Compares one table; gives the list of differences and what was compared."""
    file, key, columns = TABLES[name]
    want = expected(os.path.join(folder, file), key, columns)
    seen, wrong, approximate_cells = set(), [], 0
    for k, cells in table(dump, key, columns):
        if k in seen:
            wrong.append("%s: twice" % (k,))
            continue
        seen.add(k)
        if k not in want:
            wrong.append("%s: extra" % (k,))
            continue
        values, approximate = want[k]
        approximate_cells += len(approximate)
        for c, v, got in zip(columns, values, cells):
            if v != got and not same(c, v, got, approximate):
                wrong.append("%s: %s is %s, must be %s" % (k, c, show(c, got), show(c, v)))
    for k in want:
        if k not in seen:
            wrong.append("%s: missing" % (k,))
    return wrong, len(want), len(seen), len(columns), approximate_cells


def show(column, v):
    return "NULL" if v is None else "%.6f" % Fraction(v) if column in features.MONEY else str(normal(column, v))


def main(argv=None):
    a = argparse.ArgumentParser(description="Compares the oracle's tables with dumps of the views.")
    a.add_argument("--expected", required=True, help="the oracle's folder")
    for name in TABLES:
        a.add_argument("--" + name, help="dump of the view for " + TABLES[name][0])
    args = a.parse_args(argv)
    failed, compared = False, 0
    for name in TABLES:
        dump = getattr(args, name)
        if dump is None:
            continue
        compared += 1
        try:
            wrong, want, got, columns, loose = compare(name, args.expected, dump)
        except (Unusable, ValueError, KeyError) as e:
            print("%s: cannot be compared: %s" % (name, e), file=sys.stderr)
            return 2
        if want == 0 and name in ("latest", "days"):
            wrong.append("the oracle expects no rows at all: nothing was checked")
        print("%s: %d rows expected, %d found, %d columns compared (%d cells within 10 %%), %d differences"
              % (name, want, got, columns, loose, len(wrong)))
        for w in wrong[:MAX_LISTED]:
            print("  " + w)
        if len(wrong) > MAX_LISTED:
            print("  ... and %d more" % (len(wrong) - MAX_LISTED))
        failed = failed or bool(wrong)
    if compared == 0:
        print("nothing to compare", file=sys.stderr)
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
