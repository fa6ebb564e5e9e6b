# SPDX-License-Identifier: Apache-2.0
"""Makes a data bundle with labelled samples in which long-past behaviours decide clicks.

Items belong to topics. Half of a topic's items are in one category, half in another, like beer and
diapers. Each user has interests: topics that the long past holds some behaviours of, all from one
side of the topic. A candidate of an interest is clicked with probability --high, any other with
1 - --high. Half of the interests' candidates are of the behaviours' category, half of the other
category; an item the user has met is never a candidate.

Everything else is noise without information: topics that are never the user's candidates fill the
rest of the past and all of the recent behaviours; a user's candidates have distinct topics, so that
earlier clicks do not help; all items are candidates equally often, on average. So a model without
the long past has AUC 0.5, a model that matches only within categories misses the cross-category
half, and the best possible AUC is that of the true probabilities.

Knobs make retrieval harder; without them the data are those above. --near gives candidates of no
interest behaviours too, fewer than --repeats: then their number decides. --weak gives every
candidate behaviours of the weak items of its topic and side, which tell nothing: they are like the
candidate and must count for less, as a norm can say. --weak-norm scales the bundle's embeddings of
weak items: below 1 norms carry that meaning, above 1 they mislead. (A trained model finds norms of
its own.) --popularity draws noise by Zipf's law. --repeats against the K of a model is the share of
what it retrieves that matters.

planted.json has the best AUC (`bayes_auc`: of the test samples as labelled; `bayes_auc_expected`:
over all labellings), and the best of models that match within categories (`same_category_auc`).
"""
import pathlib

from eta_simd.command import BadInput, Count, Parser, add_counts, check_counts, check_range
from eta_simd.files import staged, write_json

COUNTS = (
    Count("users", 4000, 2, 10**6, "users"),
    Count("topics", 60, 4, 10**5, "topics"),
    Count("side", 5, 2, 1000, "items of a topic in each of its two categories"),
    Count("categories", 20, 2, 10**5, "categories"),
    Count("length", 512, 8, 16384, "behaviours of a user"),
    Count("recent", 48, 1, 16384, "newest behaviours, which are noise only"),
    Count("interests", 12, 1, 1000, "interests of a user; as many candidates are of none"),
    Count("repeats", 24, 1, 1000, "behaviours of an interest"),
    Count("near", 0, 0, 1000, "behaviours of the topic of a candidate of no interest, fewer than "
          "--repeats"),
    Count("weak", 0, 0, 1000, "behaviours of weak items of each candidate's topic, which tell "
          "nothing; half of the items of a side are weak then"),
    Count("dim", 64, 1, 4096, "dimensions of the bundle's embeddings"),
    Count("seed", 1, 0, 2**32 - 1, "seed"),
)


def parse_options(arguments):
    parser = Parser(description="Make a bundle whose clicks depend on long-past behaviours.")
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="DIR",
                        help="bundle folder to make; must not exist")
    parser.add_argument("--high", type=float, default=0.85,
                        help="click probability of an interest (default: %(default)s)")
    parser.add_argument("--weak-norm", type=float, default=1.0, metavar="FACTOR",
                        help="of the bundle's embeddings of weak items (default: %(default)s)")
    parser.add_argument("--popularity", type=float, default=0.0, metavar="EXPONENT",
                        help="of Zipf's law, by which noise behaviours are drawn; 0: all alike "
                        "(default: %(default)s)")
    add_counts(parser, COUNTS)
    options = parser.parse_args(arguments)
    check_counts(options, COUNTS)
    check_range("--high", options.high, 0.5, 1)
    check_range("--weak-norm", options.weak_norm, 0.01, 100)
    check_range("--popularity", options.popularity, 0, 5)
    check_knobs(options)
    if options.topics <= 2 * options.interests:
        raise BadInput(f"--topics is {options.topics} (expected more than twice --interests)")
    samples = 2 * options.interests
    if options.recent < samples:
        raise BadInput(f"--recent is {options.recent} (expected {samples} or more: one a sample)")
    if behaviours_of(options) > options.length - options.recent:
        raise BadInput(f"--length is {options.length}: too short for the interests and --recent")
    return options


def check_knobs(options):
    """Raises BadInput for knobs that contradict others."""
    if options.near >= options.repeats:
        raise BadInput(f"--near is {options.near} (expected fewer than --repeats)")
    if options.weak and options.side < 4:
        raise BadInput(f"--side is {options.side} (expected 4 or more with --weak)")
    if options.weak_norm != 1 and not options.weak:
        raise BadInput("--weak-norm without --weak: there are no weak items")


def behaviours_of(options):
    """How many of a user's behaviours are of topics of candidates."""
    return options.interests * (options.repeats + options.near + 2 * options.weak)


def strong_items(options):
    """Items of a side that tell: its first ones."""
    return options.side - (options.side // 2 if options.weak else 0)


def topic_categories(options, random):
    """[topics, 2]: the categories of both sides, which differ."""
    first = random.permutation(options.topics) % options.categories
    step = 1 + random.randint(options.categories - 1, size=options.topics)
    return [first, (first + step) % options.categories]


def item_of(topic, side, number, options):
    return (topic * 2 + side) * options.side + number


def draw(count, options, random):
    """Whole numbers below `count` for each behaviour, 0 the most popular."""
    if not options.popularity:
        return random.randint(count, size=options.length)
    import numpy as np

    weights = np.arange(1, count + 1) ** -options.popularity
    return random.choice(count, options.length, p=weights / weights.sum())


def make_user(options, random):
    """One user's history and samples: (history_end, item, clicked, of an interest, same side)."""
    import numpy as np

    count = options.interests
    topics = random.permutation(options.topics)
    candidates, noise = topics[:2 * count], topics[2 * count:]
    if options.popularity:  # the same topics are popular with everybody
        noise = np.sort(noise)
    side = random.randint(2, size=options.topics)  # of the behaviours of each topic
    cross = random.permutation(2 * count) % 2
    number = random.randint(options.side, size=2 * count)
    items = item_of(candidates, side[candidates] ^ cross, number, options)

    chosen = noise[draw(len(noise), options, random)]
    history = item_of(chosen, side[chosen], draw(options.side, options, random), options)
    places = random.permutation(options.length - options.recent)[:behaviours_of(options)]
    met = np.repeat(np.arange(2 * count), np.repeat([options.repeats, options.near], count))
    # Any item of the side but the candidate, whose number it may be.
    strong = strong_items(options)
    other = (number[met] + 1 + random.randint(strong - 1, size=len(met))) % strong
    if options.weak:
        weak = np.repeat(np.arange(2 * count), options.weak)
        last = options.side - strong
        step = random.randint(last - 1, size=len(weak))
        other = np.concatenate([other, strong + (number[weak] - strong + 1 + step) % last])
        met = np.concatenate([met, weak])
    history[places] = item_of(candidates[met], side[candidates[met]], other, options)

    interested = np.arange(2 * count) < count
    order = random.permutation(2 * count)
    ends = options.length - 2 * count + 1 + np.arange(2 * count)
    chance = np.where(interested, options.high, 1 - options.high)
    clicked = random.random_sample(2 * count) < chance
    return history, np.stack([ends, items[order], clicked[order], interested[order],
                              1 - cross[order]], axis=1)


def split_of(count):
    """In order of time: 70 % training, 10 % validation, 20 % test."""
    import numpy as np

    share = (np.arange(count) + 0.5) / count
    return (share > 0.7).astype(int) + (share > 0.8)


def best_quality(labels, interested, same, high):
    """What planted.json says of the test samples."""
    import numpy as np
    from eta_simd.ctr.metrics import auc

    chance = np.where(interested, high, 1 - high)
    # A model that matches within categories finds an interest only where the side is the same; to
    # it, all other candidates look alike.
    levels, counts = np.unique(chance, return_counts=True)
    clicks, misses = counts * levels, counts * (1 - levels)
    wins = sum(clicks[i] * (misses[:i].sum() + misses[i] / 2) for i in range(len(levels)))
    return {"bayes_auc": auc(labels, chance), "same_category_auc": auc(labels, interested & same),
            "bayes_auc_expected": wins / (clicks.sum() * misses.sum()),
            "cross_category_share": float(1 - same[interested].mean())}


def main(arguments):
    import numpy as np
    from eta_simd.ctr import data

    options = parse_options(arguments)
    random = np.random.RandomState(options.seed)
    sides = topic_categories(options, random)
    categories = np.repeat(np.stack(sides, axis=1).ravel(), options.side).astype(np.int32)
    centres = np.repeat(random.standard_normal((options.topics, options.dim)), 2 * options.side,
                        axis=0)
    embeddings = centres + 0.5 * random.standard_normal(centres.shape)
    is_weak = np.arange(len(embeddings)) % options.side >= strong_items(options)
    embeddings[is_weak] *= options.weak_norm
    histories, rows = zip(*(make_user(options, random) for _ in range(options.users)))
    count = 2 * options.interests
    rows = np.stack(rows).reshape(-1, 5)
    split = np.tile(split_of(count), options.users)
    users = np.repeat(np.arange(options.users), count)
    samples = np.stack([users, rows[:, 0], rows[:, 1], rows[:, 2], split], axis=1)
    test = rows[split == data.TEST].astype(bool)
    settings = {name: value for name, value in vars(options).items() if name != "out"}
    with staged(options.out, is_folder=True) as folder:
        np.save(folder / "item_embeddings.npy", embeddings.astype(np.float32))
        np.save(folder / "item_categories.npy", categories)
        np.save(folder / "history_offsets.npy",
                np.arange(options.users + 1, dtype=np.int64) * options.length)
        np.save(folder / "history_items.npy", np.concatenate(histories).astype(np.int32))
        np.save(folder / data.SAMPLES_FILE, samples.astype(np.int32))
        write_json(folder / "planted.json", {
            **best_quality(test[:, 2].astype(int), test[:, 3], test[:, 4], options.high),
            "options": settings})
        write_json(folder / "bundle.json", {
            "name": "planted", "source": "generated", "licence": "Apache-2.0",
            "made_by": f"scripts/make_planted.py seed={options.seed}"})
