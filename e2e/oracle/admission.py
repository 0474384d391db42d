"""Which records are events: the rules of contract.md, "Events", read anew.

admit() takes a record's value and gives an Event or the reason why there is
none. It shares no code with the engine, and no design: values are read whole
with the standard library, money with fractions.
"""

import json
import re
from collections import namedtuple
from datetime import datetime, timedelta, timezone
from fractions import Fraction

# time and amount are in milliseconds and in millionths of the configured
# currency; items is the sum of the quantities of a purchase's items.
Event = namedtuple("Event", "time type user id amount items products categories")

MAX_VALUE_BYTES = 1048576
MAX_DEPTH = 64
MILLION = 1000000
MAX_AMOUNT = 10**9
MIN_TIME = 946684800000  # 2000-01-01
MAX_TIME = 253402300799999  # the last millisecond of the year 9999

TYPES = {
    "clickstream": {"page_view", "product_view", "search", "add_to_cart", "remove_from_cart", "ad_impression",
                    "ad_click", "feedback"},
    "purchases": {"purchase", "refund"},
}
NEED_PRODUCT = {"product_view", "add_to_cart", "remove_from_cart"}
UNUSABLE = {"", "null", "undefined", "0", "unknown", "anonymous", "00000000-0000-0000-0000-000000000000", "0" * 32}


class Reject(Exception):
    """A record that is no event: args are the dead-letter reason and the field."""


class Number(str):
    """A JSON number, as its text."""


class Config:
    """The part of a run's configuration that decides what the tables hold."""

    def __init__(self, d):
        self.lateness = int(d.get("lateness_ms", 7 * 86400000))
        self.max_future_skew = int(d.get("max_future_skew_ms", 300000))
        self.currency = d.get("currency", "GBP")
        self.rates = {name: Fraction(str(rate)) for name, rate in (d.get("rates") or {}).items()}
        self.max_events_user_day = int(d.get("max_events_user_day", 100000))
        self.partitions = dict(d.get("partitions") or {})
        self.until = None if d.get("until") is None else as_millis(d["until"])
        self.moves = [(as_millis(m["until"]), m["offsets"]) for m in d.get("moves") or []]


def as_millis(value):
    return value if isinstance(value, int) else rfc3339(value)


def kind_of(topic):
    """An input topic's kind: the last element of its name."""
    return topic.rsplit(".", 1)[-1]


# ---------------------------------------------------------------- JSON

def _constant(text):
    raise ValueError(text)


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=_constant, strict=True)
_TOKEN = re.compile(
    r'[ \t\n\r]*(?:([{}\[\],:])|("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")'
    r"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null))")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.S)


def scan(text):
    """Checks a JSON text without recursion; gives its depth and first character.

    It raises ValueError where the text is not exactly one JSON value.
    """
    stack, deepest, at, state, first = [], 0, 0, "value", None
    while True:
        m = _TOKEN.match(text, at)
        if m is None:
            if text[at:].strip(" \t\n\r") == "" and state == "end":
                return deepest, first
            raise ValueError("no token at %d" % at)
        at = m.end()
        punct, string = m.group(1), m.group(2)
        first = first or m.group(0).lstrip(" \t\n\r")[0]
        if state == "end":
            raise ValueError("trailing data")
        if punct in ("{", "[") and state in ("value", "value or ]"):
            stack.append(punct)
            deepest = max(deepest, len(stack))
            state = "key or }" if punct == "{" else "value or ]"
            continue
        if punct == "}" and stack and stack[-1] == "{" and state in ("key or }", "after"):
            stack.pop()
        elif punct == "]" and stack and stack[-1] == "[" and state in ("value or ]", "after"):
            stack.pop()
        elif punct == "," and state == "after":
            state = "key" if stack[-1] == "{" else "value"
            continue
        elif punct == ":" and state == "colon":
            state = "value"
            continue
        elif string is not None and state in ("key", "key or }"):
            state = "colon"
            continue
        elif punct is None and state in ("value", "value or ]"):
            pass
        else:
            raise ValueError("unexpected token at %d" % at)
        state = "after" if stack else "end"


def check_surrogates(text):
    """Refuses an escaped surrogate without its other half."""
    high_end = None  # where the last high surrogate's escape ended
    for m in _ESCAPE.finditer(text):
        code = int(m.group(1), 16) if m.group(1) else 0
        if high_end is not None:
            if m.start() != high_end or not 0xDC00 <= code <= 0xDFFF:
                raise ValueError("lone high surrogate")
            high_end = None
        elif 0xDC00 <= code <= 0xDFFF:
            raise ValueError("lone low surrogate")
        elif 0xD800 <= code <= 0xDBFF:
            high_end = m.end()
    if high_end is not None:
        raise ValueError("lone high surrogate")


def read_object(value):
    """Reads a record's value as one JSON object, numbers as their texts."""
    if value is None:
        raise Reject("bad_json", "")
    if len(value) > MAX_VALUE_BYTES:
        raise Reject("too_large", "")
    try:
        text = value.decode("utf-8")
        if value.count(b"{") + value.count(b"[") > MAX_DEPTH:
            depth, first = scan(text)
            if first != "{":
                raise ValueError("not an object")
            if "\\u" in text:
                check_surrogates(text)
            if depth > MAX_DEPTH:
                raise Reject("too_deep", "")
        text = text.strip(" \t\n\r")
        obj, end = _DECODER.raw_decode(text)
        if end != len(text) or not isinstance(obj, dict):
            raise ValueError("not one object")
        if "\\u" in text:
            check_surrogates(text)
    except (ValueError, RecursionError):
        raise Reject("bad_json", "") from None
    return obj


# ---------------------------------------------------------------- scalars

_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?"
                   r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)


def rfc3339(text):
    """Milliseconds since 1970 of a strict RFC 3339 time, floored; ValueError else."""
    m = _TIME.match(text)
    if m is None:
        raise ValueError(text)
    y, mo, d, h, mi, s = (int(x) for x in m.group(1, 2, 3, 4, 5, 6))
    millis = int(((m.group(7) or "") + "000")[:3])
    t = (datetime(y, mo, d, h, mi, s, tzinfo=timezone.utc) - _EPOCH) // _MILLISECOND + millis
    if m.group(8):
        zh, zm = int(m.group(9)), int(m.group(10))
        if zh > 23 or zm > 59:
            raise ValueError(text)
        shift = (zh * 60 + zm) * 60000
        t += shift if m.group(8) == "-" else -shift
    return t


def read_time(v):
    if isinstance(v, Number):
        if not re.fullmatch(r"-?[0-9]{1,20}", v):
            raise Reject("bad_time", "ts")
        t = int(v)
    elif isinstance(v, str):
        try:
            t = rfc3339(v)
        except ValueError:
            raise Reject("bad_time", "ts") from None
    else:
        raise Reject("wrong_type", "ts")
    if not MIN_TIME <= t <= MAX_TIME:
        raise Reject("bad_time", "ts")
    return t


def exact(text):
    """The value of a JSON number; what is out of any reach is cut to 10**30 or 10**-30."""
    m = re.fullmatch(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([-+]?[0-9]+))?", text)
    sign, whole, frac, exp = m.group(1), m.group(2), m.group(3) or "", int((m.group(4) or "0")[:25])
    digits = (whole + frac).lstrip("0")
    if digits == "":
        return Fraction(0)
    magnitude = len(digits) - len(frac) + exp  # the value is below 10**magnitude
    if magnitude > 30 or magnitude < -30:
        v = Fraction(10) ** (30 if magnitude > 0 else -30)
    else:
        v = Fraction(int(digits)) * Fraction(10) ** (exp - len(frac))
    return -v if sign else v


_PLAIN = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,6}))?\Z")


def read_amount(v, field):
    """A price or total: its exact value. Limits hold before rounding."""
    if not isinstance(v, Number):
        raise Reject("wrong_type", field)
    x = exact(v)
    if not 0 <= x <= MAX_AMOUNT:
        raise Reject("bad_amount", field)
    return x


def micros(x):
    """Rounds half up to millionths."""
    return (x * MILLION * 2 + 1) // 2


def read_quantity(v, field):
    if v is None:
        return 1
    if not isinstance(v, Number):
        raise Reject("wrong_type", field)
    x = exact(v)
    if x.denominator != 1:
        raise Reject("wrong_type", field)
    if not 1 <= x <= 1000000:
        raise Reject("bad_amount", field)
    return int(x)


def read_string(obj, name, field):
    v = obj.get(name)
    if v is not None and (isinstance(v, Number) or not isinstance(v, str)):
        raise Reject("wrong_type", field)
    return v


# ---------------------------------------------------------------- events

def read_user(obj):
    user = obj.get("user_id")
    if user is None:
        raise Reject("missing_field", "user_id")
    user = read_string(obj, "user_id", "user_id")
    if user.strip(" \t\n\r\v\f").lower() in UNUSABLE or "\0" in user or len(user.encode("utf-8")) > 256:
        raise Reject("bad_id", "user_id")
    return user


def read_click(obj, kind):
    """Checks a clickstream event's own fields; gives product ids and categories."""
    product = obj.get("product")
    pid = category = None
    if product is not None:
        if not isinstance(product, dict):
            raise Reject("wrong_type", "product")
        pid = read_string(product, "id", "product.id")
    if not pid and kind in NEED_PRODUCT:
        raise Reject("missing_field", "product.id")
    if product is not None:
        read_string(product, "name", "product.name")
        category = read_string(product, "category", "product.category")
        price = product.get("price")
        if price is not None and not (isinstance(price, Number) and _PLAIN.match(price)):
            read_amount(price, "product.price")
    for name, needed_by in (("query", "search"), ("text", "feedback"), ("campaign", ""), ("channel", ""), ("url", "")):
        if read_string(obj, name, name) is None and needed_by == kind:
            raise Reject("missing_field", name)
    read_quantity(obj.get("quantity"), "quantity")
    return ([pid] if pid else []), ([category] if category else [])


def read_items(obj):
    """Checks an order's items; gives prices with quantities, product ids and categories."""
    items = obj.get("items")
    priced, products, categories, quantity = [], [], [], 0
    if items is None:
        return priced, products, categories, quantity
    if not isinstance(items, list):
        raise Reject("wrong_type", "items")
    for i, item in enumerate(items):
        at = "items[%d]" % i
        if item is None:  # null means absent, everywhere
            continue
        if not isinstance(item, dict):
            raise Reject("wrong_type", at)
        pid = read_string(item, "product_id", at + ".product_id")
        read_string(item, "name", at + ".name")
        category = read_string(item, "category", at + ".category")
        price = item.get("price")
        if price is not None:
            price = read_amount(price, at + ".price")
        elif obj.get("total") is None:
            raise Reject("missing_field", at + ".price")
        n = read_quantity(item.get("quantity"), at + ".quantity")
        priced.append((price, n))
        quantity += n
        if pid:
            products.append(pid)
        if category:
            categories.append(category)
    return priced, products, categories, quantity


def read_order(obj, cfg):
    """Checks an order's own fields; gives its amount and what its items hold."""
    read_string(obj, "order_id", "order_id")
    priced, products, categories, quantity = read_items(obj)
    if obj.get("total") is not None:
        amount = micros(read_amount(obj["total"], "total"))
    elif not priced:
        raise Reject("missing_field", "total")
    else:
        if sum(price * n for price, n in priced) > MAX_AMOUNT:
            raise Reject("bad_amount", "items")
        amount = sum(micros(price) * n for price, n in priced)
    currency = read_string(obj, "currency", "currency")
    if currency is not None and currency != cfg.currency:
        rate = cfg.rates.get(currency)
        if rate is None:
            raise Reject("bad_currency", "currency")
        amount = micros(Fraction(amount, MILLION) * rate)
    return int(amount), quantity, products, categories


def admit(value, kind, kafka_ts, cfg):
    """Reads a record's value as an Event of a topic of that kind, or raises Reject."""
    obj = read_object(value)
    if obj.get("type") is None:
        raise Reject("missing_field", "type")
    typ = read_string(obj, "type", "type")
    if typ not in TYPES[kind]:
        raise Reject("unknown_type", "type")
    user = read_user(obj)
    if obj.get("ts") is None:
        raise Reject("missing_field", "ts")
    time = read_time(obj["ts"])
    event_id = read_string(obj, "event_id", "event_id")
    amount = quantity = 0
    if kind == "purchases":
        amount, quantity, products, categories = read_order(obj, cfg)
    else:
        products, categories = read_click(obj, typ)
    if time > kafka_ts + cfg.max_future_skew:
        raise Reject("future", "ts")
    return Event(time, typ, user, event_id or None, amount, quantity, products, categories)
