"""Features as of a moment: contract.md, "Windows", read anew.

features() is the definition, over a user's events one by one; it serves the
latest rows. day_rows() gives the same for the ends of days out of each day's
own counts and sets, because a user has many of those; the tests hold the two
against each other.
"""

from collections import defaultdict

MINUTE = 60000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
HALF_HOUR = 30 * MINUTE

WINDOWS = [("1h", HOUR, 5 * MINUTE), ("24h", DAY, HOUR), ("7d", 7 * DAY, DAY), ("30d", 30 * DAY, DAY),
           ("90d", 90 * DAY, DAY), ("365d", 365 * DAY, DAY)]
COUNTS = ["page_views", "product_views", "searches", "cart_adds", "ad_clicks", "refunds", "orders", "items", "revenue"]
SETS = ["distinct_products", "distinct_categories", "active_days", "sessions"]
LIFE = ["first_seen", "last_seen", "last_order_at", "orders_total", "revenue_total", "events_total",
        "days_since_last_event", "days_since_last_order", "mean_order_gap_days"]
COLUMNS = ["%s_%s" % (m, w) for w, _, _ in WINDOWS for m in COUNTS + SETS] + LIFE
MONEY = {c for c in COLUMNS if c.startswith("revenue")}
TIMES = {"first_seen", "last_seen", "last_order_at"}
EXACT_DISTINCT = 256  # a day with more is estimated by the engine


def counts_of(e):
    """What one event adds to COUNTS."""
    t = e.type
    return (t in ("page_view", "product_view"), t == "product_view", t == "search", t == "add_to_cart", t == "ad_click",
            t == "refund", t == "purchase", e.items if t == "purchase" else 0,
            e.amount if t == "purchase" else -e.amount if t == "refund" else 0)


def window_features(events):
    """The thirteen measures of the events of one window."""
    counts = [0] * len(COUNTS)
    if not events:
        return counts + [0] * len(SETS)
    products, categories, days, halves = set(), set(), set(), set()
    for e in events:
        for i, n in enumerate(counts_of(e)):
            counts[i] += n
        products.update(e.products)
        categories.update(e.categories)
        days.add(e.time // DAY)
        halves.add(e.time // HALF_HOUR)
    sessions = sum(1 for h in halves if h - 1 not in halves)
    return counts + [len(products), len(categories), len(days), sessions]


def life_features(first, last, orders, revenue, events, t):
    """orders: number, first and last time of the purchases."""
    n, first_order, last_order = orders
    return [first, last, last_order, n, revenue, events, (t - last) // DAY,
            None if n == 0 else (t - last_order) // DAY,
            None if n < 2 else (last_order - first_order) / (n - 1) / DAY]


def features(events, t):
    """All features, in the order of COLUMNS, as of t, from events in any order."""
    past = [e for e in events if e.time <= t]
    row = []
    for _, w, g in WINDOWS:
        start = t // g * g + g - w
        row += window_features([e for e in past if e.time >= start])
    purchases = [e.time for e in past if e.type == "purchase"]
    orders = (len(purchases), min(purchases, default=None), max(purchases, default=None))
    revenue = sum(counts_of(e)[8] for e in past)
    times = [e.time for e in past]
    return row + life_features(min(times), max(times), orders, revenue, len(past), t)


def crowded_days(events):
    """Days on which the distinct counts are no longer promised to be exact."""
    products, categories = defaultdict(set), defaultdict(set)
    for e in events:
        products[e.time // DAY].update(e.products)
        categories[e.time // DAY].update(e.categories)
    return {d for s in (products, categories) for d, ids in s.items() if len(ids) > EXACT_DISTINCT}


def approximate(t, crowded):
    """Positions in COLUMNS of the distinct counts as of t that may be 10 % off."""
    out = []
    for i, (_, w, g) in enumerate(WINDOWS):
        start = t // g * g + g - w
        if any(start // DAY <= d <= t // DAY for d in crowded):
            at = i * (len(COUNTS) + len(SETS)) + len(COUNTS)
            out += [at, at + 1]
    return out


def is_due(day, event_days, last_day, lateness_days):
    """Whether a day row of day is due, where last_day is the last event's by then."""
    if day in event_days:
        return True
    k = day - last_day
    return 1 <= k <= max(14, lateness_days + 1) or (k <= 371 and k % 7 == 0)


class Day:
    """What one user's events of one UTC day add up to."""

    def __init__(self):
        self.counts = [0] * len(COUNTS)
        self.products, self.categories, self.halves = set(), set(), set()
        self.evening = []  # events of the last hour
        self.events = 0
        self.times, self.purchases = [], []

    def add(self, e):
        self.counts = [a + b for a, b in zip(self.counts, counts_of(e))]
        self.products.update(e.products)
        self.categories.update(e.categories)
        self.halves.add(e.time // HALF_HOUR)
        self.events += 1
        self.times.append(e.time)
        if e.type == "purchase":
            self.purchases.append(e.time)
        if e.time % DAY >= 23 * HOUR:
            self.evening.append(e)


def due_days(events, last_passed, lateness):
    """The days up to last_passed whose day row is due, ascending."""
    lateness_days = -(-lateness // DAY)
    event_days = {e.time // DAY for e in events}
    out, last = [], None
    for day in range(min(event_days), last_passed + 1):
        if day in event_days:
            last = day
        if is_due(day, event_days, last, lateness_days):
            out.append(day)
    return out


def day_rows(events, last_passed, lateness):
    """Yields (as_of, features) of every due day row of one user."""
    if min(e.time for e in events) // DAY > last_passed:
        return
    days = defaultdict(Day)
    for e in events:
        days[e.time // DAY].add(e)
    active = sorted(days)
    first = min(days[active[0]].times)
    spans = [w // DAY for _, w, g in WINDOWS[2:]]
    orders, revenue, count, last, seen = [0, None, None], 0, 0, None, 0
    for day in due_days(events, last_passed, lateness):
        while seen < len(active) and active[seen] <= day:
            d = days[active[seen]]
            seen += 1
            count += d.events
            revenue += d.counts[8]
            last = max(d.times)
            if d.purchases:
                orders = [orders[0] + len(d.purchases), min(d.purchases) if orders[1] is None else orders[1], max(d.purchases)]
        as_of = (day + 1) * DAY - 1
        today = days[day] if day in days else Day()
        row = window_features(today.evening)
        row += today.counts + [len(today.products), len(today.categories), int(today.events > 0), runs(today.halves)]
        row += long_windows(days, active[:seen], day, spans)
        row += life_features(first, last, orders, revenue, count, as_of)
        yield as_of, row


def runs(halves):
    return sum(1 for h in halves if h - 1 not in halves)


def long_windows(days, active, day, spans):
    """The measures of the windows of whole days that end with day, shortest first."""
    out = []
    counts, products, categories, halves, n = [0] * len(COUNTS), set(), set(), set(), 0
    i = len(active) - 1
    for span in spans:
        while i >= 0 and active[i] > day - span:
            d = days[active[i]]
            i -= 1
            n += 1
            counts = [a + b for a, b in zip(counts, d.counts)]
            products |= d.products
            categories |= d.categories
            halves |= d.halves
        out += counts + [len(products), len(categories), n, runs(halves)]
    return out
