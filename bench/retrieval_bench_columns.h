// SPDX-License-Identifier: Apache-2.0
// The columns of a result, in the order of the CSV: an interface that plots and comparisons read.
#pragma once

namespace eta::bench {

struct Column {
  const char* name;
  const char* meaning;  // goes into --help and the JSON
};

inline constexpr Column kColumns[] = {
    {"method", "name as given in --methods"},
    {"bits", "width of a code; 0 where there are no codes"},
    {"dim", "length of an embedding"},
    {"k", "behaviours asked for per candidate (K)"},
    {"l_mean", "mean history length over the requests"},
    {"b", "candidates per request, mean over the requests, rounded"},
    {"threads", "threads"},
    {"target", "what ran it: SIMD target, or FAISS version and mode"},
    {"cache",
     "warm: every request runs once untimed before it is timed; cold: every request timed is of a "
     "user whose prepared history has left all caches (the JSON says how)"},
    {"recall",
     "share of the exact inner-product top-K that was returned, by position; top-min(K, n) for a "
     "history of n; mean over the candidates of a request, then over the requests; requests "
     "without history do not count"},
    {"recall_p5", "5th percentile over requests of their recall"},
    {"recall_ties",
     "as recall, but any position counts whose exact score reaches the K-th best, less 1e-6 of it"},
    {"attention_mass",
     "share of softmax(score / sqrt(dim)) over the whole history that falls on what was returned; "
     "means as for recall"},
    {"p50_us", "median latency of a request with all its candidates, in microseconds"},
    {"p95_us", "95th percentile; all percentiles are nearest-rank over requests x repeats"},
    {"p99_us", "99th percentile"},
    {"p999_us", "99.9th percentile; the slowest sample when there are fewer than 1,000"},
    {"candidates_per_s", "candidates answered per second of wall time, all threads together"},
    {"bytes_per_behaviour",
     "memory of the prepared histories / behaviours; what all users share is not in it"},
    {"build_us", "mean time to prepare the history of one request, in microseconds, one thread"},
};

}  // namespace eta::bench
