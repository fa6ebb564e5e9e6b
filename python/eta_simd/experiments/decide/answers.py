# SPDX-License-Identifier: Apache-2.0
"""The answers of docs/decide.md from what was measured, as texts."""
import math
import re

# As kLittleToGain of bench/retrieval/run.cc, whose note says the same of its own rows: of the
# attention mass that random behaviours leave, what exact search must gain for it to tell anything.
LITTLE_TO_GAIN = 0.05
ENOUGH = 0.9  # of the attention mass
CEILING = 0.9  # recall of cosine below which norms decide
CENTRED = 0.1  # share of the mean vector above which centring is worth a try
SLOW_MS = 10.0  # of a request


def named(rows, method):
    """The row of a method, None without."""
    return next((row for row in rows if row["method"] == method), None)


def is_flat(exact, random):
    """Whether these attention masses of exact and random are too near to tell methods apart."""
    if exact is None or random is None or random >= 1:
        return False
    return (exact - random) / (1 - random) < LITTLE_TO_GAIN


def choose_k(rows, fallback, wanted=()):
    """The K to use and why, from rows of exact and random over several K, least first; of those
    that were `wanted` the last may be missing."""
    ks = sorted({row["k"] for row in rows})
    exact, random = ({row["k"]: row["attention_mass"] for row in rows if row["method"] == name}
                     for name in ("exact", "random"))
    masses = [exact.get(k) for k in ks]
    shown = ", ".join(f"{k:g}: {mass:.2f}" for k, mass in zip(ks, masses) if mass is not None)
    if not shown:
        return fallback, "no request has a history, so nothing can be said"
    fit = [k for k in ks if (exact.get(k) or 0) >= ENOUGH]
    # At the K that is chosen: near the length of histories random ones get nearly all.
    chosen = fit[0] if fit else ks[-1]
    missing = [k for k in wanted if k > ks[-1]]
    if is_flat(exact.get(chosen), random.get(chosen)):
        return fallback, (
            f"attention is nearly flat over these embeddings: the exact top {chosen:g} get "
            f"{exact[chosen]:.2f} of it, random behaviours {random[chosen]:.2f}. Attention mass "
            f"cannot choose K; AUC can. {fallback} until then")
    if fit:
        return fit[0], (f"{fit[0]:g}: the exact top {fit[0]:g} get {ENOUGH:g} of the attention or "
                        f"more (by K: {shown})")
    if missing:
        rest = ", ".join(f"{k:g}" for k in missing)
        return fallback, (f"up to {ks[-1]:g} the exact top K lack attention (by K: {shown}), and "
                          f"for {rest} the time did not suffice. {fallback} until then")
    return ks[-1], f"{ks[-1]:g} or more: even so the exact top K lack attention (by K: {shown})"


def candidates(rows):
    """The rows of methods that could be served, fastest first."""
    kept = [row for row in rows if row["method"] not in ("cosine", "random", "recent")
            and row["recall_ties"] is not None]
    return sorted(kept, key=lambda row: row["p50_us"])


def is_scan(row):
    return row["method"] in ("exact", "scan_f32", "scan_i8", "scan_i8_gather")


def method_text(row):
    return (f"{row['method']} (recall {row['recall_ties']:.2f}, {row['p50_us']:,.0f} us a request, "
            f"{row['bytes_per_behaviour']:.0f} bytes a behaviour)")


def choose_method(rows, target):
    """The fastest row that reaches the recall; exact itself always does."""
    return next(row for row in candidates(rows) if row["recall_ties"] >= target)


def bits_text(rows, target):
    """How many bits: what each width of code finds, and the fastest at the recall."""
    found = candidates(rows)
    if not found:
        return "no request has a history, so nothing can be said"
    codes = [row for row in found if row["bits"] and "+" not in row["method"]
             and not row["method"].startswith("eta_gather")]  # which finds what eta finds
    best = choose_method(rows, target)
    text = f"the fastest at a recall of {target:g} is {method_text(best)}"
    rescored = [row for row in found if "+" in row["method"]]
    for title, listed in (("Codes alone", codes), ("Rescored", rescored)):
        if listed:
            text += f". {title}: " + "; ".join(
                f"{row['method']} {row['recall_ties']:.2f}" for row in sorted(
                    listed, key=lambda row: row["recall_ties"]))
    cosine = named(rows, "cosine")
    if cosine and cosine["recall_ties"] is not None and cosine["recall_ties"] < CEILING:
        text += (". Norms decide here: signs alone, however many bits, cannot pass "
                 f"{cosine['recall_ties']:.2f} (cosine). Take eta_norm, eta_asym, pq4 or rescoring")
    return text


def two_digits(value):
    """A number that is an estimate: its first two digits, then zeros."""
    return f"{float(f'{value:.2g}'):,.0f}"


def scan_text(rows, target):
    """When to stay with a scan."""
    found = candidates(rows)
    scan = next((row for row in found if is_scan(row)), None)
    if not found or scan is None:
        return "no scan was measured"
    best = choose_method(rows, target)
    pairs = scan["b"] * scan["l_mean"]
    limit = SLOW_MS * 1e3 / (scan["p50_us"] / pairs) / scan["b"] if pairs else math.inf
    if is_scan(best):
        verdict = f"stay with {best['method']}: nothing that reaches {target:g} is faster"
    else:
        verdict = (f"{best['method']} is {scan['p50_us'] / best['p50_us']:.1f} times as fast; stay "
                   f"with {scan['method']} where that does not matter to the whole request")
    return (f"{verdict}. {scan['method']} takes {scan['p50_us']:,.0f} us for {scan['b']:.0f} "
            f"candidates and {scan['l_mean']:,.0f} behaviours. In proportion, which caches do not "
            f"keep to, it takes {SLOW_MS:g} ms at {two_digits(limit)} behaviours")


def hourly_text(rows, target, seconds, items):
    """What a new model every hour costs."""
    best = choose_method(rows, target) if candidates(rows) else None
    parts = []
    if seconds is not None:
        parts.append(f"128-bit codes of all {items:,} items take {seconds:.2f} s, files included")
    if best:
        parts.append(f"what is kept of a user for {best['method']} is made in "
                     f"{best['build_us']:,.0f} us when it is next asked for, or never where only "
                     "item ids are kept (eta_gather, scan_i8_gather)")
    return "; ".join(parts) + ". No index is trained; pq4 may keep its codebooks for a while"


def centring_text(share, recalls):
    """Whether to subtract the mean, and what to do with biases."""
    text = f"for codes of signs: the mean vector has {share:.2f} of the mean squared norm"
    if recalls:
        text += f"; eta:64 finds {recalls[0]:.2f} as it is and {recalls[1]:.2f} centred"
        is_worth = recalls[1] > recalls[0] + 0.01
    else:
        is_worth = share > CENTRED
        text += ", not tried on codes" if is_worth else ""
    if is_worth:
        text += ": subtract it from behaviours before hashing, which changes no order"
    else:
        text += ": leave it"
    return text + ". A bias of items is one more dimension (1 on the side of candidates)"


def notes_text(runs):
    """What the programs noted of the runs named, each note once, without the cell of a sweep."""
    found: dict[str, str] = {}
    for name, notes in runs:
        for note in notes:
            text = re.sub(r"^k = \d+: ", "", note)
            # The load of each run is another, which says nothing more.
            key = re.sub(r"^load average [\d.e+]+ on", "load average on", text)
            found.setdefault(key, f"{name}: {text}")
    return "\n".join(f"  {line}" for line in found.values())


def training_text(seconds):
    if seconds is None:
        return "not measured; train_ctr.py shows the time left on a terminal"
    if math.isinf(seconds):
        return "an epoch takes more than 4 minutes here (eta, histories of 256, one thread)"
    return f"{seconds:.0f} s an epoch, start included (eta, histories of 256, one thread); 4 epochs"
