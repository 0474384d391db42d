#!/usr/bin/env python3
"""The oracle: what the tables must hold, from the input topics alone.

    python3 oracle.py --config run.json --input dump.jsonl [--input ...]
                      [--late late.jsonl] [--dlq dlq.jsonl] --out DIR [--jobs 2]

Dumps are JSON lines {"topic","partition","offset","kafka_ts","key_base64",
"value_base64"}; a null value_base64 is a tombstone. Lines of the late topic and
of the DLQ also have "headers", an object with source_topic, source_partition,
source_offset (and reason, field); their values are not needed.

config: {"lateness_ms", "max_future_skew_ms", "currency", "rates",
"max_events_user_day", "until" (RFC 3339 or ms), "partitions" {topic: count},
"moves" [{"until", "offsets" {"topic:partition": first offset sent after it}}]}.
until is the last -until; moves are the earlier ones, and are needed only where
records were sent after them.

It writes DIR/profile_days.tsv, profiles_latest.tsv, bad_events.tsv,
late_events.tsv, accounting.tsv (with a header each) and summary.json, and exits
1 with a list where the late topic or the DLQ breaks the contract.
"""

import argparse
import base64
import json
import multiprocessing
import os
import sys
from collections import Counter, defaultdict

import admission
import features
from admission import Config, Reject, admit, kind_of

MAX_LISTED = 20


def read_dump(paths):
    for path in paths:
        with open(path, "rb") as f:
            for line in f:
                if line.strip():
                    yield json.loads(line)


def positions(path):
    """Source position -> (reason, field) of the records of a late topic or DLQ."""
    out = {}
    for r in read_dump([path] if path else []):
        h = r["headers"]
        out[(h["source_topic"], int(h["source_partition"]), int(h["source_offset"]))] = (h.get("reason", ""), h.get("field", ""))
    return out


class Judged:
    """The fate of every input record."""

    def __init__(self):
        self.bad = {}  # position -> (reason, field)
        self.late, self.hot, self.duplicates = [], [], []
        self.users = defaultdict(list)
        self.newest = {}  # source partition -> largest valid time
        self.tally = defaultdict(Counter)
        self.violations = []


def load(paths, cfg):
    """Reads the input dumps: (position, kafka_ts, value) in the order of each source."""
    records = {}
    for r in read_dump(paths):
        v = r.get("value_base64")
        position = (r["topic"], int(r["partition"]), int(r["offset"]))
        records[position] = (int(r["kafka_ts"]), None if v is None else base64.b64decode(v))
    return [(p, *records[p]) for p in sorted(records)]


def judge(records, late, hot, cfg):
    """Decides the fate of every record: dead-lettered, late, hot, duplicate or applied."""
    j = Judged()
    applied, per_day = {}, Counter()
    for position, kafka_ts, value in records:
        source = position[:2]
        tally = j.tally[source]
        tally["records"] += 1
        try:
            e = admit(value, kind_of(position[0]), kafka_ts, cfg)
        except Reject as r:
            j.bad[position] = r.args
            tally["dead_lettered"] += 1
            continue
        newest = j.newest.get(source)
        j.newest[source] = e.time if newest is None else max(newest, e.time)
        if position in late:
            j.late.append(position)
            tally["late"] += 1
            check_late(j, position, e, newest, cfg)
            continue
        day = e.time // features.DAY
        if position in hot:
            j.hot.append((position, e.user, day))
            j.bad[position] = ("hot", "")
            tally["dead_lettered"] += 1
            continue
        # Without an id the source position is the id, so nothing can equal it.
        key = (e.user, position[0], position if e.id is None else e.id, day)
        if key in applied:
            first_source, first = applied[key]
            if first != e and first_source != source:  # within a source the lower offset is first
                j.violations.append("%s differs from the event that it repeats: which comes first is not known here" % (position,))
            j.duplicates.append(position)
            tally["duplicates"] += 1
            continue
        applied[key] = (source, e)
        tally["applied"] += 1
        per_day[e.user, day] += 1
        j.users[e.user].append(e)
    seen = {p for p, _, _ in records}
    for name, marked in (("late", late), ("hot", hot)):
        for p in sorted(marked):
            if p not in seen:
                j.violations.append("%s record %s is in no input topic" % (name, p))
            elif j.bad.get(p, ("hot",))[0] != "hot":
                j.violations.append("%s record %s must be dead-lettered: %s" % (name, p, j.bad[p]))
    check_hot(j, per_day, cfg)
    return j


def check_late(j, position, e, newest, cfg):
    """An event may be late only if time can have closed its day: W <= w(own source)."""
    bounds = [] if newest is None else [newest]
    for until, offsets in cfg.moves:
        if position[2] >= offsets.get("%s:%d" % position[:2], 1 << 62):
            bounds.append(until)
    bound = max(bounds, default=None)
    if bound is None or e.time >= bound - cfg.lateness:
        j.violations.append("never late, but in the late topic: %s, its source had reached %s" % (position, bound))
    elif (e.time // features.DAY + 1) * features.DAY + cfg.lateness > bound:
        j.violations.append("its day was open, but it is in the late topic: %s, its source had reached %s" % (position, bound))


def check_hot(j, per_day, cfg):
    """Beyond the cap, and only beyond it, an event is hot."""
    hot = Counter((user, day) for _, user, day in j.hot)
    for key in hot:
        if per_day[key] != cfg.max_events_user_day:
            j.violations.append("a user-day with hot events has %d applied, not the cap" % per_day[key])
    for key, n in per_day.items():
        if n > cfg.max_events_user_day:
            j.violations.append("a user-day has %d applied, more than the cap" % n)


def watermark(j, cfg):
    """W at the end: the least over all sources, each moved to until at least."""
    sources = set(j.tally)
    for topic, n in cfg.partitions.items():
        sources |= {(topic, p) for p in range(n)}
    if not sources:
        return None
    w = []
    for s in sources:
        candidates = [t for t in (j.newest.get(s), cfg.until) if t is not None]
        if not candidates:
            return None  # a source without a watermark holds W
        w.append(max(candidates))
    return min(w)


def user_rows(args):
    """All lines of some users: (latest lines, day lines)."""
    users, last_passed, lateness = args
    latest, days = [], []
    for user, events in users:
        crowded = features.crowded_days(events)
        as_of = max(e.time for e in events)
        for t, row in features.day_rows(events, last_passed, lateness) if last_passed is not None else ():
            days.append(line(user, t, row, features.approximate(t, crowded)))
            as_of = max(as_of, t)
        latest.append(line(user, as_of, features.features(events, as_of), features.approximate(as_of, crowded)))
    return latest, days


MONEY_AT = [i for i, c in enumerate(features.COLUMNS) if c in features.MONEY]


def line(user, as_of, row, approximate):
    cells = ["\\N" if v is None else str(v) for v in row]
    for i in MONEY_AT:
        cells[i] = money(row[i])
    return "\t".join([escape(user), str(as_of)] + cells + [",".join(features.COLUMNS[i] for i in approximate)])


def money(v):
    """Millionths as a decimal with six places."""
    return "%s%d.%06d" % ("-" if v < 0 else "", abs(v) // 1000000, abs(v) % 1000000)


def escape(s):
    return s.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")


def write_table(path, header, lines):
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.write("\t".join(header) + "\n")
        for x in lines:
            f.write((x if isinstance(x, str) else "\t".join(str(y) for y in x)) + "\n")


def compute(j, cfg, jobs):
    """Latest and day lines of all users, by user and time."""
    w = watermark(j, cfg)
    last_passed = None if w is None else (w + 1) // features.DAY - 1
    users = sorted(j.users.items())
    chunks = [(users[i::jobs * 8], last_passed, cfg.lateness) for i in range(jobs * 8)]
    if jobs > 1 and len(users) > 1:
        with multiprocessing.Pool(jobs) as pool:
            parts = pool.map(user_rows, chunks, 1)
    else:
        parts = [user_rows(c) for c in chunks]
    return sorted(x for a, _ in parts for x in a), sorted(x for _, b in parts for x in b), w


def write(out, j, latest, days, w):
    os.makedirs(out, exist_ok=True)
    columns = ["user_id", "as_of"] + features.COLUMNS + ["approximate"]
    write_table(os.path.join(out, "profiles_latest.tsv"), columns, latest)
    write_table(os.path.join(out, "profile_days.tsv"), columns, days)
    position = ["source_topic", "source_partition", "source_offset"]
    write_table(os.path.join(out, "bad_events.tsv"), position + ["reason", "field"], [p + j.bad[p] for p in sorted(j.bad)])
    write_table(os.path.join(out, "late_events.tsv"), position, sorted(j.late))
    parts = ["records", "applied", "duplicates", "late", "dead_lettered"]
    write_table(os.path.join(out, "accounting.tsv"), position[:2] + parts,
                [s + tuple(j.tally[s][x] for x in parts) for s in sorted(j.tally)])
    summary = {x: sum(t[x] for t in j.tally.values()) for x in parts}
    summary.update(users=len(j.users), latest_rows=len(latest), day_rows=len(days), columns=len(features.COLUMNS), w=w,
                   reasons=dict(sorted(Counter(r for r, _ in j.bad.values()).items())), violations=len(j.violations))
    with open(os.path.join(out, "summary.json"), "w", encoding="utf-8") as f:
        json.dump(summary, f, indent=2)
    return summary


def check_dlq(j, dlq):
    """The DLQ must hold what is dead-lettered, with the same reasons, and nothing else."""
    for p in sorted(set(dlq) | set(j.bad)):
        want, got = j.bad.get(p), dlq.get(p)
        if want is None:
            j.violations.append("in the DLQ as %s, but valid: %s" % (got, p))
        elif got is None:
            j.violations.append("missing in the DLQ: %s, %s" % (p, want))
        elif want != got:
            j.violations.append("in the DLQ as %s, must be %s: %s" % (got, want, p))


def main(argv=None):
    a = argparse.ArgumentParser(description="What the tables must hold, from the input topics alone.")
    a.add_argument("--config", required=True, help="JSON, see the head of this file")
    a.add_argument("--input", required=True, action="append", help="dump of the input topics; may be given again")
    a.add_argument("--late", help="dump of the late topic")
    a.add_argument("--dlq", help="dump of the DLQ: its reasons are checked, and records that are hot are taken from it")
    a.add_argument("--out", required=True, help="folder to write to")
    a.add_argument("--jobs", type=int, default=2, help="processes")
    args = a.parse_args(argv)
    with open(args.config, encoding="utf-8") as f:
        cfg = Config(json.load(f, parse_float=str))
    dlq = positions(args.dlq)
    hot = {p for p, (reason, _) in dlq.items() if reason == "hot"}
    j = judge(load(args.input, cfg), set(positions(args.late)), hot, cfg)
    if args.dlq:
        check_dlq(j, dlq)
    latest, days, w = compute(j, cfg, args.jobs)
    print(json.dumps(write(args.out, j, latest, days, w)))
    for v in j.violations[:MAX_LISTED]:
        print("VIOLATION: " + v, file=sys.stderr)
    if len(j.violations) > MAX_LISTED:
        print("... and %d more" % (len(j.violations) - MAX_LISTED), file=sys.stderr)
    return 1 if j.violations else 0


if __name__ == "__main__":
    sys.exit(main())
