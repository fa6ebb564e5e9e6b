# SPDX-License-Identifier: Apache-2.0
"""Compares the long-term units of FuxiCTR's LongCTR with this project's, on one exported model of
scripts/train_ctr.py --model eta: whether both retrieve the same behaviours, or give the same
interest where nothing is retrieved, and what CPU time a training step and a scored candidate take,
one thread each. FuxiCTR is optional: `build/peers/bin/python -m pip install fuxictr`."""
import logging
import pathlib
import time
import types
from typing import Any

from eta_simd.command import BadInput, Count, Parser, add_counts, check_counts, set_threads

# FuxiCTR's name, and this project's unit of the same definition, if there is one.
PAIRS = (("ETA", "eta"), ("SIM", "sim_soft"), ("SDIM", "sdim"), ("TWIN", "twin"), ("MIRRN", None))
HIDDEN = (200, 80)
COUNTS = (
    Count("users", 20, 1, 10000, "users whose histories are compared, of the longest"),
    Count("candidates", 64, 1, 10000, "candidates of each"),
    Count("steps", 5, 0, 1000, "training steps, and requests, of which the fastest counts"),
)


def parse_options(arguments):
    parser = Parser(prog="python -m eta_simd.peers.longctr", description=__doc__)
    parser.add_argument("model", type=pathlib.Path, metavar="MODEL",
                        help="folder that scripts/train_ctr.py --model eta wrote")
    add_counts(parser, COUNTS)
    options = parser.parse_args(arguments)
    check_counts(options, COUNTS)
    return options


class Export:
    """The tables and the longest histories of an exported model of ETA."""

    def __init__(self, folder, users):
        import numpy as np
        from eta_simd.ctr import export
        manifest, arrays = export.load(folder)
        if manifest.get("model") != "eta":
            raise BadInput(f"{folder}: is of the model '{manifest.get('model')}' (expected eta)")
        read = export.read_array
        self.settings = manifest["settings"]
        self.planes = arrays["hyperplanes"]
        self.users = manifest["users"]
        self.table = read(folder / "bundle", "item_embeddings.npy", np.float32, (-1, -1))
        offsets = read(folder / "bundle", "history_offsets.npy", np.int64, (-1,))
        items = read(folder / "bundle", "history_items.npy", np.int32, (-1,))
        longest = np.argsort(-np.diff(offsets), kind="stable")[:users]
        most = self.settings["max_history"]
        self.histories = [items[offsets[u]:offsets[u + 1]][-most:] for u in sorted(longest)]
        self.dim, self.k = self.table.shape[1], self.settings["k"]
        if len(min(self.histories, key=len)) <= self.k:
            raise BadInput(f"{folder}: user {len(self.histories)} by length has no more than k = "
                           f"{self.k} behaviours; take fewer --users")

    def options(self, name):
        """What a unit and the skeleton of ours are made with."""
        return types.SimpleNamespace(
            model=name, dim=self.dim, heads=1, k=self.k, bits=self.planes.shape[1], init=0.1,
            short=self.settings["short_length"], threads=1, hashes=self.planes.shape[1] // 3,
            hash_width=3)


def fuxi_model(name, export):
    """FuxiCTR's model with this export's item table and hyperplanes; all projections of queries
    and keys are the identity, so that they score by inner products, as ours start."""
    import torch
    from fuxictr.features import FeatureMap
    from model_zoo import LongCTR
    features = FeatureMap("export", ".")
    features.features["item"] = {"type": "categorical", "source": "item",
                                 "vocab_size": len(export.table), "embedding_dim": export.dim}
    features.labels, features.default_emb_dim = ["label"], export.dim
    options = export.options(name)
    special = {"SDIM": {"num_hashes": options.hashes, "hash_bits": 3, "l2_norm": True}}.get(
        name, {"hash_bits": options.bits})
    logging.disable(logging.INFO)
    model = getattr(LongCTR, name)(
        features, dnn_hidden_units=list(HIDDEN), attention_dim=export.dim, topk=export.k,
        embedding_dim=export.dim, short_seq_len=options.short + 1, optimizer="adam",
        loss="binary_cross_entropy", metrics=["AUC"], model_root=".", verbose=0,
        max_len=export.settings["max_history"], **special)
    with torch.no_grad():
        model.embedding_layer.embedding_layer.embedding_layers["item"].weight.copy_(
            torch.from_numpy(export.table))
        if hasattr(model, "random_rotations"):
            bits = options.hashes * 3 if name == "SDIM" else options.bits
            planes = torch.from_numpy(export.planes)[:, :bits]
            model.random_rotations.copy_(planes.reshape(model.random_rotations.shape))
        for part in (model, getattr(model, "long_attention", None)):
            for layer in ("W_a", "W_b", "W_q", "W_h", "W_k", "W_v", "W_o"):
                if hasattr(part, layer):
                    getattr(part, layer).weight.copy_(torch.eye(export.dim))
    return model.eval()


def fuxi_batch(history, candidates, labels=None):
    """A batch of FuxiCTR's loader: each candidate has the whole history before it."""
    import torch
    rows = torch.from_numpy(history).long().expand(len(candidates), -1)
    items = torch.cat([rows, torch.from_numpy(candidates).long().unsqueeze(1)], dim=1)
    batch = {} if labels is None else {"label": labels}
    return batch, {"item": items.reshape(-1)}, torch.ones(rows.shape)


# ---- the same behaviours


def found_by_fuxi(name, model, rows, targets, k):
    """Positions [candidates, k] that FuxiCTR's first stage takes. It returns rows, so each row gets
    a last column with its position, which no hash or score sees."""
    import torch
    count, length = len(targets), len(rows)
    if name == "MIRRN":
        return model.topk_retrieval(model.random_rotations, targets, rows.expand(count, -1, -1),
                                    torch.ones(count, length), k)[2]
    numbered = torch.cat([rows, torch.arange(length).float().unsqueeze(1)], 1)
    planes = torch.nn.functional.pad(model.random_rotations, (0, 0, 0, 1))
    wide = torch.nn.functional.pad(targets, (0, 1))
    return model.topk_retrieval(planes, wide, numbered.expand(count, -1, -1),
                                torch.ones(count, length), k)[0][:, :, -1].long()


def agreement(found, other, distances, k):
    """How many rows hold the same set, and how many the same up to behaviours at the K-th distance,
    among which FuxiCTR's choice is unspecified."""
    import numpy as np
    same = up_to_ties = 0
    for one, two, row in zip(found, other, distances):
        kth = np.partition(row, k - 1)[k - 1]
        same += set(one.tolist()) == set(two.tolist())
        up_to_ties += (np.sort(row[one]) == np.sort(row[two])).all() and {
            p for p in one.tolist() if row[p] < kth} == {p for p in two.tolist() if row[p] < kth}
    return same, up_to_ties


def compare_codes(name, model, export, requests):
    """A line about ETA's or MIRRN's retrieval by codes."""
    import torch
    import eta_simd
    planes = eta_simd.Hyperplanes.from_array(export.planes)
    codes = planes.encode(export.table)
    retriever = eta_simd.Retriever(f"eta:{planes.bits}", export.table, planes)
    counts, total = [0, 0], 0
    for history, candidates in requests:
        with torch.no_grad():
            theirs = found_by_fuxi(name, model, torch.from_numpy(export.table[history]),
                                   torch.from_numpy(export.table[candidates]), export.k).numpy()
        ours = retriever.retrieve(history, candidates, export.k)
        distances = eta_simd.hamming_distances(eta_simd.pack_codes(codes[history]),
                                               codes[candidates])
        counts = [a + b for a, b in zip(counts, agreement(ours, theirs, distances, export.k))]
        total += len(candidates)
    return (f"{name}: of {total} candidates {counts[1]} get the same behaviours up to ties of the "
            f"K-th distance, {counts[0]} the very same set")


def interest_of_fuxi(name, model, rows, targets):
    """The long-term interest [candidates, dim]."""
    import torch
    count, mask = len(targets), torch.ones(len(targets), len(rows))
    sequence = rows.expand(count, -1, -1)
    if name == "SDIM":
        return model.lsh_attentioin(model.random_rotations, targets, sequence, mask)
    if name == "TWIN":
        return model.long_attention(targets, sequence, mask)
    # SIM's first stage is written into its forward pass: this is what reaches its attention.
    seen: "dict[str, Any]" = {}
    hook = model.long_attention.register_forward_hook(
        lambda _, inputs, output: seen.update(interest=output))
    weight = model.embedding_layer.embedding_layer.embedding_layers["item"].weight
    with torch.no_grad():
        weight[:len(rows)] = rows
        weight[len(rows):len(rows) + count] = targets
    ids = torch.arange(len(rows)).expand(count, -1)
    items = torch.cat([ids, len(rows) + torch.arange(count).unsqueeze(1)], 1)
    model(({}, {"item": items.reshape(-1)}, mask))
    hook.remove()
    return seen["interest"]


def our_sdim(export):
    """A function from history and candidates to the interest of our SDIM."""
    import numpy as np
    import torch
    from eta_simd.ctr.make_unit import make_unit
    options, table = export.options("sdim"), torch.from_numpy(export.table)
    unit = make_unit(options, None, None, np.random.RandomState(1)).eval()
    unit.hyperplanes.copy_(torch.from_numpy(export.planes[:, :options.hashes * 3]))
    unit.refresh(table)

    def interest(history, candidates):
        window = torch.from_numpy(history).long().unsqueeze(0)
        wanted = torch.from_numpy(candidates).long().unsqueeze(0)
        valid = torch.ones(1, len(candidates), len(history), dtype=torch.bool)
        return unit(table[window], window, valid, table[wanted], wanted)[0][0]
    return interest


def our_attention(export):
    """The same of attention to the K behaviours of the largest inner products: what SIM's second
    stage and TWIN do where their projections are the identity."""
    import torch
    import eta_simd
    retriever, table = eta_simd.Retriever("exact", export.table), torch.from_numpy(export.table)

    def interest(history, candidates):
        found = torch.from_numpy(retriever.retrieve(history, candidates, export.k)).long()
        rows = table[torch.from_numpy(history).long()][found]
        scores = (rows @ table[torch.from_numpy(candidates).long()].unsqueeze(2)).squeeze(2)
        weights = torch.softmax(scores / export.dim ** 0.5, dim=1)
        return (weights.unsqueeze(2) * rows).sum(dim=1)
    return interest


def compare_interest(name, model, export, requests):
    """A line about the interest of SIM, SDIM or TWIN beside ours."""
    import torch
    table = torch.from_numpy(export.table)
    interest = (our_sdim if name == "SDIM" else our_attention)(export)
    worst, close, total = 0.0, 0, 0
    for history, candidates in requests:
        with torch.no_grad():
            ours = interest(history, candidates)
            theirs = interest_of_fuxi(name, model, table[torch.from_numpy(history).long()],
                                      table[torch.from_numpy(candidates).long()])
        difference = ((ours - theirs).norm(dim=1) / theirs.norm(dim=1).clamp(min=1e-9)).numpy()
        worst, close = max(worst, difference.max()), close + int((difference < 1e-3).sum())
        total += len(candidates)
    return (f"{name}: of {total} candidates {close} get our interest within 1e-3 of its length; "
            f"the largest difference is {worst:.1e}")


# ---- times


def fastest(call, turns):
    """The least CPU time of a call: steps are long enough that other programs interrupt each."""
    times = []
    for _ in range(turns):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def train_seconds(name, export, history, candidates, steps):
    """Fastest training step of FuxiCTR's model: forward, backward and Adam."""
    import torch
    model = fuxi_model(name, export).train()
    model._max_gradient_norm, model._batch_index = 10.0, 0
    labels = (torch.arange(len(candidates)) % 2).float()
    return fastest(lambda: model.train_step(fuxi_batch(history, candidates, labels)), steps)


def our_train_seconds(name, export, history, candidates, steps, is_shared):
    """The same of our skeleton and unit. With `is_shared` the samples share one window, as those of
    a user do in scripts/train_ctr.py."""
    import numpy as np
    import torch
    from eta_simd.ctr.make_unit import make_unit
    from eta_simd.ctr.model import CtrModel
    options, count = export.options(name), len(candidates)
    categories = np.zeros(len(export.table), np.int64)
    model = CtrModel(options, export.users, categories, make_unit(
        options, categories, export.table, np.random.RandomState(1), is_native=True)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    shape = (1, count) if is_shared else (count, 1)
    window = torch.from_numpy(history).long().expand(shape[0], -1).contiguous()
    wanted = torch.from_numpy(candidates).long().view(shape)
    labels = (torch.arange(count) % 2).float().view(shape)

    def step():
        model.refresh()
        optimizer.zero_grad()
        logits, penalty = model(torch.zeros(shape[0], dtype=torch.int64), window,
                                torch.full(shape, len(history)), wanted)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        (loss + penalty).backward()
        optimizer.step()
    return fastest(step, steps)


def print_times(options, export, history, candidates):
    """A table of milliseconds for a step of all candidates, and microseconds for each candidate."""
    import torch
    import eta_simd
    print(f"\n{len(candidates)} samples of {len(history)} behaviours, {export.dim} dimensions, K = "
          f"{export.k}, one thread, the fastest of {options.steps}:\n\n"
          f"{'':<8}{'training step, ms':>34}{'a scored candidate, us':>26}\n"
          f"{'':<8}{'FuxiCTR':>10}{'ours':>10}{'a window':>14}{'FuxiCTR':>14}{'our C++':>12}")
    served = eta_simd.CtrModel(options.model)
    for name, ours in PAIRS:
        model = fuxi_model(name, export)
        with torch.no_grad():
            scored = fastest(lambda: model(fuxi_batch(history, candidates)), options.steps)
        cells = [f"{train_seconds(name, export, history, candidates, options.steps) * 1e3:>10.1f}"]
        for is_shared, width in ((False, 10), (True, 14)):
            text = "-"
            if ours:
                seconds = our_train_seconds(ours, export, history, candidates, options.steps,
                                            is_shared)
                text = f"{seconds * 1e3:.1f}"
            cells.append(text.rjust(width))
        cells.append(f"{scored / len(candidates) * 1e6:>14.1f}")
        if ours == "eta":
            seconds = fastest(lambda: served.score(0, history, candidates), options.steps * 20)
            cells.append(f"{seconds / len(candidates) * 1e6:>12.2f}")
        print(f"{name:<8}" + "".join(cells))


def main(arguments):
    set_threads(1)  # before any library is imported
    options = parse_options(arguments)
    import numpy as np
    import torch
    from fuxictr import version
    torch.set_num_threads(1)
    torch.manual_seed(1)
    export = Export(options.model, options.users)
    random = np.random.default_rng(1)
    popular = np.concatenate(export.histories)
    if max(map(len, export.histories)) + options.candidates > len(export.table):
        raise BadInput(f"{options.model}: {len(export.table)} items are fewer than a history and "
                       f"{options.candidates} candidates; take fewer --candidates")
    requests = [(history, random.choice(popular, options.candidates))
                for history in export.histories]
    print(f"FuxiCTR {version.__version__}, PyTorch {torch.__version__} "
          f"{torch.backends.cpu.get_cpu_capability()}\n")
    for name, _ in PAIRS:
        model = fuxi_model(name, export)
        print(compare_codes(name, model, export, requests) if name in ("ETA", "MIRRN") else
              compare_interest(name, model, export, requests), flush=True)
    if options.steps:
        print_times(options, export, *max(requests, key=lambda request: len(request[0])))


if __name__ == "__main__":
    from eta_simd.command import run

    run("eta_simd.peers.longctr", needs="peers")
