#!/usr/bin/env python3
"""Tests of the oracle on cases worked out by hand: python3 -m unittest in this folder."""

import base64
import io
import json
import os
import random
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout

import admission
import compare
import features
import oracle
from admission import Config, Event, Reject, admit

DAY, HOUR, MINUTE = features.DAY, features.HOUR, features.MINUTE
D0 = 1767225600000 // DAY  # 2026-01-01
KAFKA = 1790000000000


def at(day, hour=0, minute=0, second=0, ms=0):
    return (D0 + day) * DAY + hour * HOUR + minute * MINUTE + second * 1000 + ms


def event(time, typ="page_view", user="u", eid=None, amount=0, items=0, products=(), categories=()):
    return Event(time, typ, user, eid, amount, items, list(products), list(categories))


def value(topic="clickstream", **fields):
    base = {"user_id": "u", "type": "page_view" if topic == "clickstream" else "purchase", "ts": "2026-01-01T00:00:00Z"}
    base.update(fields)
    return json.dumps({k: v for k, v in base.items() if v is not ...}).encode()


class Admission(unittest.TestCase):
    cfg = Config({"rates": {"USD": "0.79"}})

    def rejected(self, raw, reason, field="", kind="clickstream", kafka=KAFKA):
        with self.assertRaises(Reject) as r:
            admit(raw, kind, kafka, self.cfg)
        self.assertEqual(r.exception.args, (reason, field), raw[:200] if raw else raw)

    def test_json(self):
        for raw in (None, b"", b" ", b"null", b"[]", b"1", b'{"a":1,}', b"{} {}", b"{}x", b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":01}',
                    b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"a":"\\udc00\\ud800"}', b'{"a":"\n"}', b'\xef\xbb\xbf{}', b'{"a":"\\ud83dx\\ude00"}'):
            self.rejected(raw, "bad_json")
        self.rejected(b'{"a":"' + b"x" * 1048576 + b'"}', "too_large")
        self.rejected(b"[" * 1048577, "too_large")
        self.rejected(b"[" * 500000 + b"]" * 500000, "bad_json")
        self.rejected(b'{"a":' * 65 + b"1" + b"}" * 65, "too_deep")
        self.rejected(b'{"a":' * 64 + b"1" + b"}" * 64, "missing_field", "type")
        self.rejected(b'{"x":' + b"[" * 70 + b"]" * 69 + b"}", "bad_json")
        self.rejected(b'{"x":"' + b"[" * 500 + b'"}', "missing_field", "type")
        self.assertEqual(admit(value(query="\\ud800 is text, \U0001f600 too"), "clickstream", KAFKA, self.cfg).user, "u")

    def test_order_of_checks(self):
        self.rejected(value(type=7, user_id=7), "wrong_type", "type")
        self.rejected(value(type="scroll", user_id=7), "unknown_type", "type")
        self.rejected(value(type="purchase"), "unknown_type", "type")
        self.rejected(value(user_id=..., ts="x"), "missing_field", "user_id")
        self.rejected(value(user_id=None), "missing_field", "user_id")
        self.rejected(value(ts="x", event_id=1), "bad_time", "ts")
        self.rejected(value(event_id=1, query=1), "wrong_type", "event_id")
        self.rejected(value(query=1, ts="2190-01-01T00:00:00Z"), "wrong_type", "query")
        self.rejected(value(ts="2190-01-01T00:00:00Z"), "future", "ts")
        self.rejected(b'{"type":"page_view","type":null,"user_id":"u"}', "missing_field", "type")

    def test_ids(self):
        for user in ("", " ", "NULL", " undefined\t", "0", "Unknown", "anonymous", "0" * 32, "00000000-0000-0000-0000-000000000000",
                     "a\0b", "é" * 129):
            self.rejected(value(user_id=user), "bad_id", "user_id")
        for user in (" x ", "00", "é" * 128, "none"):
            self.assertEqual(admit(value(user_id=user), "clickstream", KAFKA, self.cfg).user, user)
        for eid in (None, "", ...):
            self.assertIsNone(admit(value(event_id=eid), "clickstream", KAFKA, self.cfg).id)

    def test_times(self):
        good = {"2026-01-01T00:00:00Z": 0, "2026-01-01t00:00:00.0019z": 1, "2026-01-01T01:00:00+01:00": 0, "2025-12-31T23:59:59.999999999-00:00": -1,
                1767225600000: 0, "2026-01-01T00:00:00.123456789Z": 123}
        for ts, ms in good.items():
            self.assertEqual(admit(value(ts=ts), "clickstream", KAFKA, self.cfg).time, at(0) + ms, ts)
        for ts in ("", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z", "2026-02-29T00:00:00Z",
                   "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+0100",
                   "1999-12-31T23:59:59.999Z", 946684799999, 1.5, 1767225600, 10**30, "２026-01-01T00:00:00Z"):
            self.rejected(value(ts=ts), "bad_time", "ts")
        for ts in (True, {}, []):
            self.rejected(value(ts=ts), "wrong_type", "ts")

    def test_future_is_measured_from_the_records_timestamp(self):
        self.assertEqual(admit(value(), "clickstream", at(0) - 300000, self.cfg).time, at(0))
        self.rejected(value(), "future", "ts", kafka=at(0) - 300001)

    def test_clickstream_fields(self):
        for t in ("product_view", "add_to_cart", "remove_from_cart"):
            self.rejected(value(type=t), "missing_field", "product.id")
            self.rejected(value(type=t, product={"id": "", "name": 1}), "missing_field", "product.id")
        self.rejected(value(type="search"), "missing_field", "query")
        self.rejected(value(type="feedback", text=None), "missing_field", "text")
        self.rejected(value(product=[]), "wrong_type", "product")
        self.rejected(value(product={"price": -1}), "bad_amount", "product.price")
        self.rejected(value(product={"price": "1"}), "wrong_type", "product.price")
        self.rejected(value(quantity=0), "bad_amount", "quantity")
        self.rejected(value(quantity=1.5), "wrong_type", "quantity")
        self.assertEqual(admit(value(type="search", query="", total="x", quantity=1000000), "clickstream", KAFKA, self.cfg).type, "search")

    def amount(self, raw):
        return admit(raw, "purchases", KAFKA, self.cfg).amount

    def order(self, body):
        return b'{"user_id":"u","type":"purchase","ts":1767225600000,' + body + b"}"

    def test_amounts(self):
        for body, want in ((b'"total":1.2345675', 1234568), (b'"total":-0.0', 0), (b'"total":1e9', 10**15), (b'"total":1e-400', 0),
                           (b'"total":null,"items":[{"price":5e-7,"quantity":3},{"price":0.00000049}]', 3),
                           (b'"items":[{"price":0.1,"quantity":3.0},{"price":2}]', 2300000), (b'"total":5,"items":[{}]', 5000000),
                           (b'"total":0.00005,"currency":"USD"', 40), (b'"total":1,"currency":null', 1000000), (b'"total":0e999999999999999', 0)):
            self.assertEqual(self.amount(self.order(body)), want, body)
        for body, reason, field in (
                (b'"total":-1e-300', "bad_amount", "total"), (b'"total":1000000000.0000000001', "bad_amount", "total"), (b'"total":1e99999999999999999999999999', "bad_amount", "total"),
                (b'"total":"1"', "wrong_type", "total"), (b'"items":[]', "missing_field", "total"), (b'"items":[null]', "missing_field", "total"), (b'"items":[{}]', "missing_field", "items[0].price"),
                (b'"items":[{"price":1},3]', "wrong_type", "items[1]"), (b'"items":[{"price":600000000,"quantity":2}]', "bad_amount", "items"),
                (b'"items":[{"price":1,"quantity":1000001}]', "bad_amount", "items[0].quantity"), (b'"total":1,"currency":"usd"', "bad_currency", "currency"),
                (b'"total":1,"currency":""', "bad_currency", "currency"), (b'"order_id":1,"total":"x"', "wrong_type", "order_id")):
            self.rejected(self.order(body), reason, field, "purchases")

    def test_golden_samples(self):
        folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "schemas", "golden")
        with open(os.path.join(folder, "poison.jsonl"), encoding="utf-8") as f:
            samples = [json.loads(x) for x in f]
        self.assertGreaterEqual(len(samples), 24)
        for d in samples:
            raw = None if d.get("tombstone") else base64.b64decode(d["value_base64"]) if "value_base64" in d else \
                "".join(p["text"] * p["count"] for p in d["parts"]).encode() if "parts" in d else d["value"].encode()
            with self.subTest(d["class"]):
                self.rejected(raw, d["reason"], d["field"], d["topic"])


class Features(unittest.TestCase):
    def row(self, events, t):
        return dict(zip(features.COLUMNS, features.features(events, t)))

    def test_windows_begin_on_tiles(self):
        t = at(40, 12, 34, 56, 789)
        for name, first in (("1h", at(40, 11, 35)), ("24h", at(39, 13)), ("7d", at(34)), ("30d", at(11)), ("90d", at(-49)), ("365d", at(-324))):
            events = [event(first), event(first - 1), event(t), event(t + 1)]
            self.assertEqual(self.row(events, t)["page_views_" + name], 2, name)

    def test_measures(self):
        events = [event(at(0, 9, 0), "product_view", products=["a"], categories=["x"]), event(at(0, 9, 29), "search"),
                  event(at(0, 9, 31), "add_to_cart", products=["a"], categories=["y"]), event(at(0, 10, 30), "ad_click"),
                  event(at(0, 23, 59), "purchase", amount=10**7, items=3, products=["a", "b"]), event(at(1, 0, 1), "purchase", amount=5),
                  event(at(1, 2), "refund", amount=3 * 10**6), event(at(1, 3), "ad_impression"), event(at(1, 3), "feedback"), event(at(1, 3), "remove_from_cart")]
        r = self.row(events, at(1, 4))
        want = {"page_views": 1, "product_views": 1, "searches": 1, "cart_adds": 1, "ad_clicks": 1, "refunds": 1, "orders": 2, "items": 3,
                "revenue": 7000005, "distinct_products": 2, "distinct_categories": 2, "active_days": 2, "sessions": 5}
        self.assertEqual({m: r[m + "_7d"] for m in want}, want)
        self.assertEqual(r["orders_24h"], 2)
        self.assertEqual(self.row(events, at(1, 0, 30))["sessions_1h"], 1, "runs join across midnight")
        self.assertEqual((r["first_seen"], r["last_seen"], r["last_order_at"]), (at(0, 9), at(1, 3), at(1, 0, 1)))
        self.assertEqual((r["orders_total"], r["revenue_total"], r["events_total"]), (2, 7000005, 10))
        self.assertEqual((r["days_since_last_event"], r["days_since_last_order"]), (0, 0))
        self.assertAlmostEqual(r["mean_order_gap_days"], 2 / 1440)
        quiet = self.row(events[:1], at(3, 8, 59, 59, 999))
        self.assertEqual((quiet["days_since_last_event"], quiet["last_order_at"], quiet["mean_order_gap_days"]), (2, None, None))

    def test_due_days(self):
        week = 7 * DAY
        days = [d - D0 for d in features.due_days([event(at(0)), event(at(3))], D0 + 400, week)]
        self.assertEqual(days, list(range(0, 18)) + [3 + k for k in range(21, 372, 7)])
        days = [d - D0 for d in features.due_days([event(at(0))], D0 + 40, 20 * DAY + 1)]
        self.assertEqual(days, list(range(0, 23)) + [28, 35], "lateness of 20 days and a bit is 21 days")
        self.assertEqual([d - D0 for d in features.due_days([event(at(0)), event(at(380))], D0 + 381, week)][-3:], [371, 380, 381])

    def test_day_rows_equal_the_definition(self):
        rng = random.Random(7)
        types = sorted(admission.TYPES["clickstream"] | admission.TYPES["purchases"])
        for case in range(12):
            span = rng.choice([2, 20, 120, 500])
            events = []
            for _ in range(rng.randrange(1, 120)):
                day, special = rng.randrange(span), rng.choice([0, 0, 1])
                t = at(day) + (rng.choice([0, 1, HOUR - 1, HOUR, 23 * HOUR, 23 * HOUR - 1, DAY - 1, 30 * MINUTE - 1]) if special else rng.randrange(DAY))
                typ = rng.choice(types)
                events.append(event(t, typ, amount=rng.randrange(10**8) if typ in ("purchase", "refund") else 0, items=rng.randrange(9),
                                    products=rng.choices("abcdefgh", k=rng.randrange(3)), categories=rng.choices("xyz", k=rng.randrange(2))))
            rows = list(features.day_rows(events, D0 + span - 1, 7 * DAY))
            self.assertEqual([t // DAY for t, _ in rows], features.due_days(events, D0 + span - 1, 7 * DAY))
            for t, row in rows:
                self.assertEqual(row, features.features(events, t), (case, t))

    def test_crowded_days_are_approximate(self):
        events = [event(at(0), products=[str(i) for i in range(257)]), event(at(9))]
        crowded = features.crowded_days(events)
        self.assertEqual(crowded, {D0})
        names = [features.COLUMNS[i] for i in features.approximate(at(9, 5), crowded)]
        self.assertEqual(names, ["distinct_%s_%s" % (x, w) for w in ("30d", "90d", "365d") for x in ("products", "categories")])


class Whole(unittest.TestCase):
    """The two programs, from dumps to verdicts."""

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.records = []

    def put(self, topic, raw, partition=0, kafka=KAFKA):
        offset = sum(1 for r in self.records if (r["topic"], r["partition"]) == (topic, partition))
        self.records.append({"topic": topic, "partition": partition, "offset": offset, "kafka_ts": kafka, "key_base64": None,
                             "value_base64": None if raw is None else base64.b64encode(raw).decode()})
        return topic, partition, offset

    def file(self, name, lines):
        path = os.path.join(self.dir.name, name)
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(x) + "\n" for x in lines)
        return path

    def run_oracle(self, config, late=(), dlq=None):
        def diverted(marked):
            return [{"topic": "t", "partition": 0, "offset": i, "headers": {"source_topic": p[0], "source_partition": str(p[1]),
                                                                           "source_offset": str(p[2]), **h}} for i, (p, h) in enumerate(marked)]
        args = ["--config", self.file("c.json", [config]), "--input", self.file("in.jsonl", self.records), "--out", self.dir.name + "/out",
                "--jobs", "1", "--late", self.file("late.jsonl", diverted((p, {}) for p in late))]
        if dlq is not None:
            args += ["--dlq", self.file("dlq.jsonl", diverted(dlq))]
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = oracle.main(args)
        return code, json.loads(out.getvalue()), err.getvalue()

    def table(self, name):
        with open(os.path.join(self.dir.name, "out", name), encoding="utf-8") as f:
            header, *lines = f.read().splitlines()
        return [dict(zip(header.split("\t"), x.split("\t"))) for x in lines]

    def test_accounting_duplicates_and_bad(self):
        self.put("clickstream", value(event_id="a"))
        self.put("clickstream", value(event_id="a"))  # a duplicate
        self.put("clickstream", value(event_id="a", ts="2026-01-02T00:00:00Z"))  # another day, so none
        self.put("clickstream", value(event_id="a", user_id="v"))  # another user, so none
        self.put("clickstream", value())  # without an id: never a duplicate
        self.put("clickstream", value())
        self.put("purchases", value("purchases", event_id="a", total=5))  # another topic, so none
        bad = self.put("purchases", None)
        code, sums, err = self.run_oracle({"until": "2026-01-03T00:00:00Z", "partitions": {"clickstream": 2, "purchases": 1}},
                                          dlq=[(bad, {"reason": "bad_json"})])
        self.assertEqual((code, err), (0, ""))
        self.assertEqual([sums[x] for x in ("records", "applied", "duplicates", "late", "dead_lettered")], [8, 6, 1, 0, 1])
        self.assertEqual(sums["w"], at(2))
        self.assertEqual([(r["user_id"], int(r["as_of"]), r["events_total"], r["revenue_total"]) for r in self.table("profile_days.tsv")],
                         [("u", at(1) - 1, "4", "5.000000"), ("u", at(2) - 1, "5", "5.000000"), ("v", at(1) - 1, "1", "0.000000"), ("v", at(2) - 1, "1", "0.000000")])
        self.assertEqual([r["as_of"] for r in self.table("profiles_latest.tsv")], [str(at(2) - 1)] * 2)

    def test_w_is_the_slowest_source(self):
        self.put("clickstream", value(ts=at(9)))
        self.put("purchases", value("purchases", ts=at(3) - 2, total=1))
        _, sums, _ = self.run_oracle({})
        self.assertEqual((sums["w"], sums["day_rows"]), (at(3) - 2, 0))
        _, sums, _ = self.run_oracle({"until": at(3) - 1})
        self.assertEqual((sums["w"], sums["day_rows"]), (at(3) - 1, 1), "a day is passed at its last millisecond")
        _, sums, _ = self.run_oracle({"partitions": {"clickstream": 2}})
        self.assertIsNone(sums["w"], "a source without a watermark holds W")

    def test_latest_is_after_the_last_day_row(self):
        self.put("clickstream", value(ts=at(5, 7)))
        self.run_oracle({"until": at(5)})
        self.assertEqual(self.table("profiles_latest.tsv")[0]["as_of"], str(at(5, 7)))

    def test_late(self):
        self.put("clickstream", value(event_id="x", ts=at(0, 12)))
        self.put("clickstream", value(event_id="y", ts=at(8)))  # closes day 0
        late = self.put("clickstream", value(event_id="x", ts=at(0, 23)))
        code, sums, err = self.run_oracle({"until": at(9)}, late=[late])
        self.assertEqual((code, err, sums["late"], sums["applied"]), (0, "", 1, 2))
        for ts, words in ((at(1, 23), "never late"), (at(0, 23), "day was open")):
            self.records = []
            self.put("clickstream", value(ts=at(8) if words == "never late" else at(8) - 1 + 0))
            code, _, err = self.run_oracle({"until": at(20)}, late=[self.put("clickstream", value(ts=ts))])
            self.assertEqual(code, 1)
            self.assertIn(words, err)

    def test_late_after_a_move(self):
        self.put("clickstream", value(ts=at(0)))
        late = self.put("clickstream", value(ts=at(0)))
        self.assertEqual(self.run_oracle({}, late=[late])[0], 1)
        moved = {"moves": [{"until": "2026-01-20T00:00:00Z", "offsets": {"clickstream:0": 1}}]}
        self.assertEqual(self.run_oracle(moved, late=[late])[0], 0)

    def test_marks_must_fit(self):
        p = self.put("clickstream", value())
        for dlq, words in (([], ""), ([(p, {"reason": "bad_id", "field": "user_id"})], "but valid"), ([(("clickstream", 0, 9), {"reason": "hot"})], "no input topic"),
                           ([(p, {"reason": "hot"})], "not the cap")):
            code, _, err = self.run_oracle({}, dlq=dlq)
            self.assertEqual(code, 1 if words else 0, dlq)
            self.assertIn(words, err)

    def test_compare_sees_every_change(self):
        for i in range(6):
            self.put("clickstream", value(event_id=str(i), ts=at(i, i), type="product_view", product={"id": "p%d" % i}))
            self.put("purchases", value("purchases", event_id=str(i), ts=at(i, i), total=1.5, user_id="v\t1"))
        self.run_oracle({"until": at(7)})
        out = os.path.join(self.dir.name, "out")

        def verdict(dump):
            path = os.path.join(self.dir.name, "dump")
            with open(path, "w", encoding="utf-8") as f:
                f.write(dump)
            with redirect_stdout(io.StringIO()) as o, redirect_stderr(io.StringIO()):
                return compare.main(["--expected", out, "--days", path]), o.getvalue()

        with open(os.path.join(out, "profile_days.tsv"), encoding="utf-8") as f:
            good = f.read()
        lines = good.splitlines()
        header = lines[0].split("\t")
        self.assertEqual(verdict(good)[0], 0)
        names, *rows = compare.rows(os.path.join(out, "profile_days.tsv"))
        as_json = "".join(json.dumps(dict(zip(reversed(names), reversed(r)))) + "\n" for r in rows)
        self.assertEqual(verdict(as_json)[0], 0)
        for what, dump in (("missing", "\n".join(lines[:-1])), ("extra", good.replace("u\t", "w\t", 1)), ("twice", good + lines[-1])):
            code, text = verdict(dump)
            self.assertEqual(code, 1)
            self.assertIn(what, text)
        for c in features.COLUMNS:
            cells = lines[3].split("\t")
            i = header.index(c)
            cells[i] = "7" if cells[i] == "\\N" else str(compare.normal(c, cells[i]) + 1)
            code, text = verdict("\n".join(lines[:3] + ["\t".join(cells)] + lines[4:]))
            self.assertEqual(code, 1, c)
            self.assertIn(c, text)
        self.assertEqual(verdict(lines[0] + "\n")[0], 1)
        self.assertEqual(verdict("")[0], 2)
        self.assertEqual(verdict("user_id\tas_of\nu\t1\n")[0], 2)

    def test_compare_reads_what_clickhouse_prints(self):
        self.assertEqual(compare.millis("2026-01-01 00:00:00.123"), at(0) + 123)
        self.assertEqual(compare.normal("revenue_7d", "-1.50"), compare.normal("revenue_7d", "-1.500000"))
        self.assertEqual(compare.unescape("a\\tb\\\\n\\'"), "a\tb\\n'")


if __name__ == "__main__":
    unittest.main()
