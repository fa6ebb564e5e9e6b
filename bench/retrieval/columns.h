// SPDX-License-Identifier: Apache-2.0
// The columns of a result, in the order of the CSV. Plots and comparisons read them: they are an
// interface.
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
    {"threads", "threads that ran: the fewest that OpenMP gave at any time"},
    {"target", "what ran it: SIMD target, or FAISS version and mode"},
    {"cache",
     "warm: a method answers each turn of requests once untimed before they are timed; cold: every "
     "request timed is of a user whose prepared history has left all caches (the JSON says how)"},
    {"recall",
     "share of the exact inner-product top-K that was returned, by position: of equal scores the "
     "newest belong to it, so methods that break ties otherwise lose by it (recall, recall_p5, and "
     "in the JSON recall_p50 and recall_histogram); top-min(K, n) for a history of n; mean over "
     "the candidates of a request, then over the requests; requests "
     "without history do not count"},
    {"recall_p5", "5th percentile over requests of their recall"},
    {"recall_ties",
     "as recall, but any position counts whose exact score reaches the K-th best, less 1e-6 of it"},
    {"attention_mass",
     "share of softmax(score / (temperature sqrt(dim))) over the whole history that falls on what "
     "was returned; means as for recall"},
    {"p50_us", "median latency of a request with all its candidates, in microseconds"},
    {"p50_low_us",
     "lower end of the 95 % bootstrap interval of the median of repeat_p50_us (in the JSON: median "
     "latency of each repeat); empty with fewer than 5 repeats"},
    {"p50_high_us", "its upper end"},
    {"p95_us", "95th percentile; all percentiles are nearest-rank over requests x repeats"},
    {"p99_us", "99th percentile"},
    {"p999_us", "99.9th percentile; the slowest sample when there are fewer than 1,000"},
    {"candidates_per_s", "candidates answered per second of wall time, all threads together"},
    {"bytes_per_behaviour", "memory of the users / their behaviours: user_bytes of a behaviour"},
    {"build_us", "mean time to prepare the history of one request, in microseconds, one thread"},
    {"user_bytes",
     "mean memory of a user: what the method keeps of the history, and its item ids (4 bytes "
     "each), "
     "which attention needs in any method"},
    {"shared_bytes",
     "memory that all users share: the item embeddings, which the model needs in any method, and "
     "what the method adds: tables of codes, norms or quantised rows, copies, hyperplanes or "
     "codebooks"},
};

// The columns of --per-request.
inline constexpr Column kPerRequestColumns[] = {
    {"user", "number of the user in the bundle"},
    {"length", "behaviours of the history"},
    {"candidates", "candidates of the request"},
    {"method", "name as given in --methods"},
    {"recall", "as above, of this request; empty without history"},
    {"recall_ties", "as above"},
    {"attention_mass", "as above"},
    {"p50_us", "median latency of the request over the repeats, in microseconds"},
};

// The columns of --load-csv.
inline constexpr Column kLoadColumns[] = {
    {"method", "name as given in --methods"},
    {"bits", "width of a code; 0 where there are no codes"},
    {"k", "behaviours asked for per candidate (K)"},
    {"l_mean", "mean history length over the requests"},
    {"b", "candidates per request, mean over the requests"},
    {"threads", "workers; each serves one request at a time, whole"},
    {"limit_ms", "limit of p99 when this was a probe of --slo-ms; empty for --load"},
    {"kept", "1 when the probe kept the limit and all was served, else 0; empty for --load"},
    {"rate", "requests per second that were to arrive, by a Poisson process"},
    {"arrivals", "requests that arrived"},
    {"unserved",
     "of these, not begun when the time was over (--load: twice --load-seconds); they count "
     "with the time they had waited, so percentiles are then lower bounds"},
    {"late_starts",
     "requests whose worker was idle and yet began more than 100 us after the intended start: "
     "the machine's delay, not the method's; it is part of the latency"},
    {"seconds", "from the start to the last answer"},
    {"achieved_rate", "requests served / seconds"},
    {"utilisation", "time in service / (workers x seconds)"},
    {"service_mean_us", "mean time from the begin of a request to its answer, in microseconds"},
    {"p50_us",
     "median latency from the intended start to the answer, in microseconds, nearest rank, "
     "exact over all arrivals"},
    {"p90_us", "90th percentile"},
    {"p99_us", "99th percentile"},
    {"p999_us", "99.9th percentile; the slowest when fewer than 1,000 requests arrived"},
    {"max_us", "the slowest"},
};

}  // namespace eta::bench
