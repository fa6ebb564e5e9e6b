# SPDX-License-Identifier: Apache-2.0
"""Bundles, labelled samples and batches.

A sample is a row (user, history_end, item, label, split): does this user, after the first
`history_end` behaviours of the history, click this item? docs/models.md says where samples come
from. Loaders check every value and raise BadInput, which names the file.
"""
import dataclasses

import numpy as np

from eta_simd.command import BadInput
from eta_simd.data.bundle import check_ids, read_array, read_lists
from eta_simd.reading import read_json

TRAIN, VALIDATION, TEST = 0, 1, 2
USER, END, ITEM, LABEL, SPLIT = range(5)
SAMPLES_FILE = "ctr_samples.npy"


@dataclasses.dataclass
class Bundle:
    """A data bundle (docs/bundle.md) and its labelled samples, int32 [samples, 5]."""
    embeddings: np.ndarray
    categories: np.ndarray  # int64 [items], numbered without gaps; all 0 where there are none
    has_categories: bool
    offsets: np.ndarray
    items: np.ndarray
    times: "np.ndarray | None"
    samples: np.ndarray
    info: dict
    category_ids: "np.ndarray | None" = None  # what the bundle calls the categories

    @property
    def num_users(self):
        return len(self.offsets) - 1

    @property
    def num_items(self):
        return len(self.embeddings)


def load_bundle(folder, seed, negatives=1):
    """Reads a bundle; samples from its ctr_samples.npy, else derived with `seed`."""
    if not folder.is_dir():
        raise BadInput(f"{folder}: not a folder")
    embeddings = read_array(folder, "item_embeddings.npy", np.float32, (-1, -1))
    count = len(embeddings)
    categories = read_array(folder, "item_categories.npy", np.int32, (count,), optional=True)
    offsets, items = read_lists(folder, "history", count)
    times = read_array(folder, "history_times.npy", np.int64, (len(items),), optional=True)
    if len(offsets) < 2:
        raise BadInput(f"{folder / 'history_offsets.npy'}: there are no users")
    if categories is not None:
        check_ids(folder / "item_categories.npy", categories, 2**31, "category")
    if times is not None:
        falls = np.flatnonzero(np.diff(times) < 0) + 1
        if not np.isin(falls, offsets).all():
            raise BadInput(f"{folder / 'history_times.npy'}: a history is not in order of time")
    info = read_json(folder / "bundle.json")
    if not isinstance(info, dict) or any(
            not isinstance(info.get(key, ""), str) for key in ("name", "source", "licence")):
        raise BadInput(f"{folder / 'bundle.json'}: not an object with texts")
    names, dense = np.unique(np.zeros(count, np.int32) if categories is None else categories,
                             return_inverse=True)
    bundle = Bundle(
        embeddings=embeddings,
        categories=dense.astype(np.int64), has_categories=categories is not None,
        offsets=offsets, items=items.astype(np.int64), times=times,
        samples=np.empty((0, 5), np.int32), info=info, category_ids=names)
    samples = load_samples(folder, bundle)
    bundle.samples = derive_samples(bundle, seed, negatives) if samples is None else samples
    for split, name in ((TRAIN, "training"), (TEST, "test")):
        labels = bundle.samples[bundle.samples[:, SPLIT] == split, LABEL]
        if not (labels == 0).any() or not (labels == 1).any():
            raise BadInput(f"{folder}: the {name} samples lack a positive or a negative one")
    return bundle


def load_samples(folder, bundle):
    """The samples of the bundle's ctr_samples.npy, every value checked; None without the file."""
    path = folder / SAMPLES_FILE
    samples = read_array(folder, SAMPLES_FILE, np.int32, (-1, 5), optional=True)
    if samples is None:
        return None
    check_ids(path, samples[:, USER], bundle.num_users, "user")
    check_ids(path, samples[:, ITEM], bundle.num_items, "item")
    check_ids(path, samples[:, LABEL], 2, "label")
    check_ids(path, samples[:, SPLIT], 3, "split")
    lengths = np.diff(bundle.offsets)[samples[:, USER]]
    if (samples[:, END] < 0).any() or (samples[:, END] > lengths).any():
        raise BadInput(f"{path}: a history_end outside the user's history")
    return samples


def strictly_earlier(times):
    """For each behaviour of one history, how many have an earlier time."""
    return np.searchsorted(times, times, side="left")


def derive_samples(bundle, seed, negatives):
    """Positives: the user's behaviours. Negatives: `negatives` each, drawn by popularity.

    Per user in order of time: 80 % training, 10 % validation, 10 % test; behaviours of one time
    stay in one split, so that no split contains the future of an earlier one. The history of a
    sample has the behaviours with a strictly earlier time (without times: an earlier position).
    Popularity counts training behaviours only, plus 1. An item that the user has met by the end of
    the sample's split is never a negative; an item met later may be, because leaving it out would
    leak the future.
    """
    splits = np.zeros(len(bundle.items), np.int64)
    ends = np.zeros(len(bundle.items), np.int64)
    for user in range(bundle.num_users):
        begin, end = bundle.offsets[user], bundle.offsets[user + 1]
        count = end - begin
        earlier = (np.arange(count) if bundle.times is None else
                   strictly_earlier(bundle.times[begin:end]))
        ends[begin:end] = earlier
        splits[begin:end] = (earlier >= 0.8 * count).astype(int) + (earlier >= 0.9 * count)
    users = np.repeat(np.arange(bundle.num_users), np.diff(bundle.offsets))
    kept = ends > 0  # a sample without history cannot show how a model reads histories
    popularity = np.bincount(bundle.items[splits == TRAIN], minlength=bundle.num_items) + 1.0
    drawn = draw_negatives(bundle, splits, kept, popularity, negatives, seed)
    positives = np.stack([users, ends, bundle.items, np.ones_like(users), splits], axis=1)[kept]
    rows = np.repeat(positives[:, None], 1 + negatives, axis=1)
    rows[:, 1:, ITEM] = drawn
    rows[:, 1:, LABEL] = 0
    return rows.reshape(-1, 5).astype(np.int32)


def draw_negatives(bundle, splits, kept, popularity, negatives, seed):
    """`negatives` items for each behaviour that is `kept`. Each split has its own random numbers,
    so that later behaviours change nothing in an earlier split."""
    users = np.repeat(np.arange(bundle.num_users), np.diff(bundle.offsets))
    pairs = users * bundle.num_items + bundle.items
    cumulative = np.cumsum(popularity) / popularity.sum()
    result = np.zeros((len(users), negatives), np.int64)
    for split in (TRAIN, VALIDATION, TEST):
        chosen = kept & (splits == split)
        result[chosen] = draw_unmet(np.repeat(users[chosen], negatives),
                                    np.unique(pairs[splits <= split]), cumulative,
                                    np.random.RandomState([seed, split])).reshape(-1, negatives)
    return result[kept]


def draw_unmet(users, met, cumulative, random):
    """An item for each of `users`, drawn until user * items + item is not in `met`."""
    drawn, todo = np.zeros_like(users), np.arange(len(users))
    for _ in range(1000):
        if not len(todo):
            return drawn
        items = np.searchsorted(cumulative, random.random_sample(len(todo)), side="right")
        drawn[todo] = np.minimum(items, len(cumulative) - 1)
        todo = todo[np.isin(users[todo] * len(cumulative) + drawn[todo], met)]
    raise BadInput("no negatives found: a user's history has nearly every item")


# ---- batches


@dataclasses.dataclass
class Group:
    """Samples of one user that share a window of the history, [begin, begin + length)."""
    user: int
    begin: int
    length: int
    rows: np.ndarray  # of the samples


def training_groups(samples, rows, max_history, size, random):
    """Cuts each user's samples into groups of `size` neighbours, at a random offset.

    The window of a group is that of its last sample: earlier samples see slightly fewer than
    `max_history` behaviours, and the group costs one window instead of many.
    """
    rows = rows[np.lexsort((random.random_sample(len(rows)), samples[rows, END],
                            samples[rows, USER]))]
    users = samples[rows, USER]
    starts = np.flatnonzero(np.r_[True, users[1:] != users[:-1]])
    groups = []
    for start, stop in zip(starts, np.r_[starts[1:], len(rows)]):
        cut = start - random.randint(size)
        while cut < stop:
            part = rows[max(cut, start):min(cut + size, stop)]
            cut += size
            if len(part):
                end = int(samples[part, END].max())
                begin = max(0, end - max_history)
                part = part[samples[part, END] > begin] if begin else part
                groups.append(Group(int(samples[part[0], USER]), begin, end - begin, part))
    return groups


def exact_groups(samples, rows, max_history, size):
    """Groups in which every sample has its own last `max_history` behaviours, as in serving."""
    begins = np.maximum(0, samples[rows, END].astype(np.int64) - max_history)
    order = np.lexsort((rows, samples[rows, END], begins, samples[rows, USER]))
    rows, begins = rows[order], begins[order]
    users = samples[rows, USER]
    fresh = np.r_[True, (users[1:] != users[:-1]) | (begins[1:] != begins[:-1])]
    starts = np.flatnonzero(fresh)
    groups = []
    for start, stop in zip(starts, np.r_[starts[1:], len(rows)]):
        for cut in range(start, stop, size):
            part = rows[cut:min(cut + size, stop)]
            begin = int(begins[cut])
            groups.append(Group(int(users[cut]), begin,
                                int(samples[part, END].max()) - begin, part))
    return groups


@dataclasses.dataclass
class Batch:
    """[G] users, [G, H] items padded on the right, [G, N] ends within the window, candidates,
    labels, and which of the [G, N] are samples; `rows` names those."""
    users: np.ndarray
    window: np.ndarray
    ends: np.ndarray
    candidates: np.ndarray
    labels: np.ndarray
    real: np.ndarray
    rows: np.ndarray


def make_batch(bundle, groups):
    """The Batch of some groups, padded to the longest window and the most samples."""
    count = len(groups)
    length = max(1, max(g.length for g in groups))
    width = max(len(g.rows) for g in groups)
    batch = Batch(
        users=np.array([g.user for g in groups]),
        window=np.zeros((count, length), np.int64),
        ends=np.zeros((count, width), np.int64),
        candidates=np.zeros((count, width), np.int64),
        labels=np.zeros((count, width), np.float32),
        real=np.zeros((count, width), bool),
        rows=np.concatenate([g.rows for g in groups]))
    for i, group in enumerate(groups):
        begin = bundle.offsets[group.user] + group.begin
        batch.window[i, :group.length] = bundle.items[begin:begin + group.length]
        rows = bundle.samples[group.rows]
        n = len(rows)
        batch.ends[i, :n] = rows[:, END] - group.begin
        batch.candidates[i, :n] = rows[:, ITEM]
        batch.labels[i, :n] = rows[:, LABEL]
        batch.real[i, :n] = True
    return batch


def batches(groups, cost, random=None):
    """Lists of groups of similar length, at most `cost` window-candidate pairs each; in random
    order where `random` is given."""
    noise = random.random_sample(len(groups)) if random else np.zeros(len(groups))
    order = np.lexsort((noise, [g.length for g in groups]))
    result: list[list] = []
    current: list = []
    width = 0
    for index in order:
        group = groups[index]
        width = max(width, len(group.rows))
        if current and (len(current) + 1) * width * max(1, group.length) > cost:
            result.append(current)
            current, width = [], len(group.rows)
        current.append(group)
    if current:
        result.append(current)
    if random:
        random.shuffle(result)
    return result
