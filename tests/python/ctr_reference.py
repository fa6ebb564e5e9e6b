# SPDX-License-Identifier: Apache-2.0
"""The forward pass of docs/models.md once more, in NumPy and in float64, one candidate at a time.

The oracle of ctr_export_test.py: it reads what was exported and shares no code with training.
"""
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    weights = np.exp(x - x.max())
    return weights / weights.sum()


def attention(weights, name, heads, c, rows):
    """Target attention of candidate c [dim] over rows [n, dim]."""
    dim = len(c)
    if len(rows) == 0:
        return np.zeros(dim)
    query, key, value, output = (weights[f"{name}_{part}"].astype(np.float64)
                                 for part in ("query", "key", "value", "output"))
    part = dim // heads
    pooled = []
    for h in range(heads):
        columns = slice(h * part, (h + 1) * part)
        scores = (rows @ key[:, columns]) @ (c @ query[:, columns]) / np.sqrt(part)
        pooled.append(softmax(scores) @ (rows @ value[:, columns]))
    return np.concatenate(pooled) @ output


def best_positions(scores, k):
    """The k largest of whole numbers, newest first among equals; None never qualifies."""
    positions = [p for p, score in enumerate(scores) if score is not None]
    positions.sort(key=lambda p: (-scores[p], -p))
    return positions[:k]


def factor_distance(penalty, factor, largest, longest, is_byte):
    """docs/models.md, "ETA by another retrieval", in whole numbers of Python."""
    if 0 < largest <= 254:
        doublings = (254 // largest).bit_length() - 1
        b, m = penalty << doublings, largest << doublings
    elif largest == 0:
        b, m = 0, 0
    elif is_byte:
        b, m = min(penalty, 255), 256
    else:
        b, m = penalty * (254 * 65536 // largest) // 65536, 254
    product = (longest * ((m + 1) // 2) + 1) // 2
    gain = min((127 * 65536 - 1) // max(product, 1), 32767)
    return 128 + factor * (b - m // 2) // 2 * gain // 65536


def factor_scores(model, weights, settings, history, candidate):
    bits = settings["bits"]
    rows = weights["item_codes"].astype(int)
    code = np.unpackbits(weights["item_codes"][:, :-1], axis=1, bitorder="little")[:, :bits]
    wanted = np.where(code[candidate] > 0, 1, -1)
    is_byte = bits <= 256
    if model == "eta_asym":
        wanted = weights["item_weights"].astype(int)[candidate, :bits]
        is_byte = bits <= 128
    longest = max((rows[item, -1] for item in history), default=0)
    return [-factor_distance(int(np.abs(wanted)[(wanted > 0) != (code[item] > 0)].sum()),
                             int(rows[item, -1]), int(np.abs(wanted).sum()), int(longest), is_byte)
            for item in history]


def retrieve(model, categories, weights, settings, history, candidate):
    """Positions that a retrieving unit attends to."""
    if model == "sim_hard":
        scores = [0 if categories[item] == categories[candidate] else None for item in history]
    elif model == "sim_soft":
        index = weights["sim_index"].astype(int)
        scores = [int(index[candidate] @ index[item]) for item in history]
    elif model == "exact":
        index = weights["exact_index"].astype(int)
        scores = [int(index[candidate] @ index[item]) for item in history]
    elif model == "pq4":
        codes, tables = weights["item_codes"], weights["item_tables"].astype(int)[candidate]
        scores = [-sum(tables[32 * p + byte % 16] + tables[32 * p + 16 + byte // 16]
                       for p, byte in enumerate(codes[item].tolist())) for item in history]
    elif model in ("eta_norm", "eta_asym"):
        scores = factor_scores(model, weights, settings, history, candidate)
    elif model == "twin":
        query = weights["twin_queries"].astype(int)[candidate]
        scores = [int(query @ weights["twin_keys"][item].astype(int)) for item in history]
    elif model == "eta":
        codes = weights["item_codes"]
        scores = [-sum(bin(a ^ b).count("1") for a, b in zip(codes[candidate].tolist(),
                                                             codes[item].tolist()))
                  for item in history]
    elif model == "recent":
        scores = [0] * len(history)
    elif model == "reformer_lsh":
        buckets = weights["item_buckets"]
        shared = [int((buckets[item] == buckets[candidate]).sum()) for item in history]
        scores = [n or None for n in shared]
    else:
        raise ValueError(model)
    return best_positions(scores, settings["k"])


def sdim(weights, settings, history, candidate, rows):
    bits = np.unpackbits(weights["item_codes"], axis=1, bitorder="little")
    width, total = settings["hash_width"], np.zeros(rows.shape[1])
    for r in range(settings["hashes"]):
        columns = slice(r * width, (r + 1) * width)
        same = [np.array_equal(bits[item, columns], bits[candidate, columns]) for item in history]
        s = rows[np.array(same, bool)].sum(axis=0)
        total += s / np.sqrt(s @ s + 1e-12)
    return total / settings["hashes"] @ weights["sdim_value"].astype(np.float64)


def mimn(weights, settings, c, rows):
    w = {name: array.astype(np.float64) for name, array in weights.items()
         if name.startswith("mimn_")}
    dim, slots = len(c), settings["slots"]
    memory, interest, used = w["mimn_memory"].copy(), np.zeros((slots, dim)), np.zeros(slots)
    for t, x in enumerate(rows):
        key, erase, add, update, reset, new = np.split(
            x @ w["mimn_write"] + w["mimn_write_bias"], 6)
        cosine = np.array([m @ key / np.sqrt((m @ m + 1e-8) * (key @ key + 1e-8))
                           for m in memory])
        share = softmax(w["mimn_sharpness"][0] * cosine + used / max(t, 1) @ w["mimn_usage"])
        for i in range(slots):
            memory[i] = memory[i] * (1 - share[i] * sigmoid(erase)) + share[i] * np.tanh(add)
            z, r = np.split(sigmoid(np.concatenate([update, reset]) + np.concatenate(
                [memory[i], interest[i]]) @ w["mimn_gates"]), 2)
            induced = np.tanh(new + np.concatenate(
                [memory[i], r * interest[i]]) @ w["mimn_induce"])
            interest[i] += share[i] * z * (induced - interest[i])
        used += share
    return attention(weights, "long", settings["heads"], c, np.concatenate([memory, interest]))


def long_term(model, table, categories, weights, settings, history, candidate):
    rows, c = table[history], table[candidate]
    if model == "avg_pool":
        return rows.mean(axis=0) if len(rows) else np.zeros(len(c))
    if model == "sdim":
        return sdim(weights, settings, history, candidate, rows)
    if model == "mimn":
        return mimn(weights, settings, c, rows)
    if model != "full_attention":
        rows = rows[retrieve(model, categories, weights, settings, history, candidate)]
    return attention(weights, "long", settings["heads"], c, rows)


def logit(model, table, categories, weights, settings, user, history, candidate):
    """table float32 [items, dim], history item ids, oldest first."""
    table = table.astype(np.float64)
    c = table[candidate]
    recent = table[history[max(0, len(history) - settings["short_length"]):]]
    s = attention(weights, "short", settings["heads"], c, recent)
    features = [weights["user_embeddings"][user], c, s, c * s]
    wide = weights["wide"][0] * (c @ s)
    if model != "none":
        g = long_term(model, table, categories, weights, settings, history, candidate)
        features += [g, c * g]
        wide += weights["wide"][1] * (c @ g)
    y = np.concatenate(features)
    for layer in range(3):
        y = y @ weights[f"mlp_{layer}_weight"] + weights[f"mlp_{layer}_bias"]
        y = np.maximum(y, 0) if layer < 2 else y
    return float(y[0] + wide)
