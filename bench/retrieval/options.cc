// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/options.h"

#include <algorithm>
#include <iostream>
#include <sstream>
#include <utility>

#include "baselines/methods.h"
#include "bench/common/open_loop.h"
#include "bench/common/options.h"
#include "bench/common/text.h"
#include "bench/retrieval/help.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

constexpr uint64_t kMaxRepeats = 1'000'000;
constexpr double kMaxSeconds = 1e6;
constexpr double kMaxTemperature = 1e6;
constexpr uint64_t kMaxMegabytes = 1'000'000'000;

// ETA in three widths, the exact scan, the ceiling of sign codes (cosine), what beats ETA at equal
// recall (scan_i8, eta_asym, pq4, rescoring in int8), FAISS, SIM, the newest K and the floor
// (random).
constexpr const char* kDefaultMethods =
    "exact,cosine,scan_i8,eta:64,eta:128,eta:256,eta_asym:64,pq4:64,eta:64+rerank_i8:4,"
    "pq4:128+rerank_i8:2,faiss_exact,faiss_binary:64,faiss_binary:256,sim_hard,sim_soft:ivf,"
    "sim_soft:hnsw,recent,random";
// The same with a width to be filled in.
constexpr const char* kDefaultSweptMethods =
    "exact,cosine,scan_i8,eta:{bits},eta_asym:{bits},pq4:{bits},eta:{bits}+rerank_i8:4,"
    "pq4:{bits}+rerank_i8:2,faiss_exact,faiss_binary:{bits},sim_hard,sim_soft:ivf,sim_soft:hnsw,"
    "recent,random";

// An option that makes sense only where `holds` does.
struct Need {
  const CLI::Option* option;
  bool (*holds)(const Options&);
  const char* what;  // must then be given
};

bool IsLoaded(const Options& o) { return !o.load_rates.empty() || o.slo_ms > 0; }
bool HasLimit(const Options& o) { return o.slo_ms > 0; }
bool IsCold(const Options& o) { return o.is_cold; }
bool IsSwept(const Options& o) { return !o.sweep.empty(); }

// What the command line holds beside the fields of Options: values that are converted later, and
// the options that rules are about.
struct Arguments {
  std::string methods = kDefaultMethods;
  std::string hyperplanes;
  std::string split = "auto";
  std::string cache = "warm";
  std::string load;
  std::vector<std::string> sweep;
  size_t min_history = 0;
  bool list_methods = false;

  std::vector<Need> needs;
  CLI::Option* length = nullptr;
  CLI::Option* dim = nullptr;
  CLI::Option* b_option = nullptr;
  CLI::Option* max_history = nullptr;
  CLI::Option* min_history_option = nullptr;
  CLI::Option* k = nullptr;
  CLI::Option* threads = nullptr;
  CLI::Option* methods_option = nullptr;
};

bool IsGiven(const CLI::Option* option) { return option->count() > 0; }

void AddDataOptions(CLI::App& app, Options& o, Arguments& arguments) {
  OptionGroup data(app, "Data");
  CLI::Option* folder =
      data.Text("--data", o.data, "DIR", "Bundle folder to read; without it data is generated");
  data.Flag("--normalize", o.normalize,
            "Scale every embedding to length 1, so that inner product is cosine");
  OptionGroup generated(app, "Generated data (not with --data)");
  for (CLI::Option* option : AddGeneratorOptions(generated, o.generator, "--gen-seed")) {
    option->excludes(folder);
  }
  arguments.length = app.get_option("--length");
  arguments.dim = app.get_option("--dim");
}

void AddRequestOptions(CLI::App& app, Options& o, Arguments& arguments) {
  OptionGroup group(app, "Requests");
  group.Whole("--requests", o.requests, 1, kMaxCount,
              "Number of requests; each has another user, in an order given by the seed");
  arguments.b_option = group.Whole("--b", o.b, 1, kMaxCandidates, "Candidates per request");
  group.Whole("--held-out", o.held_out, 0, kMaxCount,
              "Last behaviours of a user, taken out of the history and made candidates; other "
              "candidates are drawn by popularity. Unused when the bundle brings candidates");
  arguments.max_history = group.Whole("--max-history", o.max_history, 0, kMaxCount,
                                      "Keep only so many most recent behaviours; 0: all");
  arguments.min_history_option =
      group
          .Whole(
              "--min-history", arguments.min_history, 0, kMaxCount,
              "Leave out users with fewer behaviours than this; 0: none. Without it users with 2 K "
              "or fewer are left out where the median user has fewer than 2 K, because requests "
              "in which there is little to choose do not tell methods apart")
          ->default_str("");
  group.Whole("--seed", o.seed, 0, kMaxSeed,
              "Seed of the choice of users and candidates, of hyperplanes and of indexes");
}

void AddMethodOptions(CLI::App& app, Options& o, Arguments& arguments) {
  OptionGroup group(app, "Methods");
  arguments.methods_option =
      group.Text("--methods", arguments.methods, "LIST", "Methods to compare, separated by commas");
  group.Flag("--list-methods", arguments.list_methods, "Print all methods and exit");
  arguments.k = group.Whole("--k", o.k, 1, kMaxK, "Behaviours to retrieve per candidate (K)");
  group.Decimal("--temperature", o.temperature, kMaxTemperature,
                "Attention mass is that of softmax(score / (temperature sqrt(dim))): below 1 the "
                "weight falls on fewer behaviours");
  group.Text("--hyperplanes", arguments.hyperplanes, "KIND",
             "Hyperplanes of all codes: gaussian, signs, orthogonal, hadamard or itq, which is "
             "trained on the items; without it those of the bundle are used for codes of their "
             "width, else orthogonal ones for eta_norm and eta_asym and gaussian ones for others");
}

void AddMeasuringOptions(CLI::App& app, Options& o, Arguments& arguments) {
  OptionGroup group(app, "Measuring");
  arguments.threads = group.Whole("--threads", o.threads, 1, kMaxThreads, "Threads");
  group.Text("--split", arguments.split, "HOW",
             "What threads share out: users (throughput), candidates of one request (latency) or "
             "auto (users if there are as many requests as threads, and under load)");
  group.Whole("--repeats", o.repeats, 1, kMaxRepeats, "Timed runs of each request and method");
  group.Flag("--pin", o.pin, "Bind each thread to a CPU of its own");
  group.Text("--cache", arguments.cache, "HOW",
             "warm: each turn of requests runs once before it is timed; cold: each is of a user "
             "whose prepared history has left all caches");
  const CLI::Option* cache_size = group.Whole(
      "--llc-mb", o.llc_mb, 0, kMaxMegabytes,
      "With --cache cold: size of the last-level cache in MB; 0: ask the system, which in a "
      "virtual machine may name the cache of the whole socket");
  const CLI::Option* memory =
      group.Whole("--cold-memory", o.cold_memory_mb, 0, kMaxMegabytes,
                  "With --cache cold: MB that prepared histories may take; 0: half of the memory");
  arguments.needs.push_back({cache_size, IsCold, "--cache cold"});
  arguments.needs.push_back({memory, IsCold, "--cache cold"});
  group.Target(o.target);
}

void AddLoadOptions(CLI::App& app, Options& o, Arguments& arguments) {
  OptionGroup group(app, "Load");
  group.Text("--load", arguments.load, "RATE,...",
             "After the closed loop, let requests arrive at these rates per second (Poisson), "
             "whether or not earlier ones are answered; --threads workers serve them whole");
  const CLI::Option* seconds = group.Decimal(
      "--load-seconds", o.load_seconds, kMaxSeconds,
      "Seconds of arrivals per rate and method; twice that at most until all are served");
  group.Decimal("--slo-ms", o.slo_ms, kMaxSeconds,
                "Find, per method, the highest rate that keeps p99 within so many ms; 0: do not");
  const CLI::Option* slo_seconds = group.Decimal("--slo-seconds", o.slo_seconds, kMaxSeconds,
                                                 "Seconds that this search may take, per method");
  const CLI::Option* csv = group.Text("--load-csv", o.load_csv, "FILE",
                                      "Write what --load and --slo-ms measured as CSV");
  arguments.needs.push_back({seconds, IsLoaded, "--load or --slo-ms"});
  arguments.needs.push_back({csv, IsLoaded, "--load or --slo-ms"});
  arguments.needs.push_back({slo_seconds, HasLimit, "--slo-ms"});
}

void AddSweepOptions(CLI::App& app, Options& o, Arguments& arguments) {
  OptionGroup group(app, "Sweep");
  group.List("--sweep", arguments.sweep, "NAME=LIST",
             "Measure all combinations of values of bits, L (history length), k, b, dim or "
             "threads, such as bits=32,64,128 or L=256:65536:x4; once per name. bits fills in "
             "{bits} in --methods, such as eta:{bits}");
  const CLI::Option* budget =
      group.Decimal("--time-budget", o.time_budget, kMaxSeconds,
                    "Seconds after which no further combination is begun; 0: no limit");
  const CLI::Option* cells =
      group.Text("--cells", o.cells, "FILE",
                 "Keep finished combinations in this file, and go on from those that it holds");
  arguments.needs.push_back({budget, IsSwept, "--sweep"});
  arguments.needs.push_back({cells, IsSwept, "--sweep"});
}

void AddOutputOptions(CLI::App& app, Options& o) {
  OptionGroup group(app, "Output");
  group.Text("--csv", o.csv, "FILE", "Write the rows as CSV");
  group.Text("--json", o.json, "FILE", "Write rows, settings and environment as JSON");
  group.Text(
      "--per-request", o.per_request, "FILE",
      "Write a row for each request and method as CSV: user, length, recall, attention mass, "
      "time");
  group.Text(
      "--dump", o.dump, "DIR",
      "Write what each method returned as NumPy files, a row for each request and candidate: "
      "user, candidate, positions, counts and scores; the folder must not exist");
  group.Flag("--quiet", o.quiet, "Print the table only: no header, notes or progress");
}

std::vector<double> ParseRates(const std::string& list, double seconds) {
  std::vector<double> rates;
  Require(!list.ends_with(','), "--load: \"", list, "\" ends with a comma");
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    const double rate = ParseDecimal(part).value_or(0);
    Require(rate > 0, "--load: \"", part, "\" is not a rate above 0 per second");
    const double arrivals = rate * seconds;
    Require(arrivals >= kFewestArrivals && arrivals <= static_cast<double>(kMaxArrivals),
            "--load: ", rate, " per second for ", seconds, " s are ", arrivals, " requests; ",
            kFewestArrivals, " to ", kMaxArrivals, " are supported");
    rates.push_back(rate);
  }
  return rates;
}

void ConvertLoad(const Arguments& arguments, Options& o) {
  o.load_rates = ParseRates(arguments.load, o.load_seconds);
  if (!IsLoaded(o)) return;
  Require(o.load_seconds > 0, "--load-seconds must be above 0");
  // A rate above what the workers can serve keeps the limit too until the backlog has grown to it.
  Require(o.slo_ms / 1000 <= (kRateStep - 1) * o.load_seconds * (1 + 1e-9), "--slo-ms ", o.slo_ms,
          " needs --load-seconds of ", o.slo_ms / 1000 / (kRateStep - 1), " or more");
  Require(!o.is_cold, "--cache cold is for the closed loop alone: leave out --load and --slo-ms");
  Require(
      o.split != Split::kCandidates,
      "--split candidates does not go with --load and --slo-ms: a worker serves whole requests");
  o.split = Split::kUsers;  // what auto means under load, as --help says
}

// The options that set what the axis of a sweep sets, or would cut what it makes.
std::vector<const CLI::Option*> OverriddenBy(const std::string& axis, const Arguments& arguments) {
  if (axis == "L") return {arguments.length, arguments.max_history};
  if (axis == "k") return {arguments.k};
  if (axis == "b") return {arguments.b_option};
  if (axis == "dim") return {arguments.dim};
  if (axis == "threads") return {arguments.threads};
  return {};  // bits, which the methods hold
}

// Returns the methods with their bits filled in.
std::string ConvertSweep(const Arguments& arguments, Options& o) {
  std::vector<size_t> bits;
  for (const std::string& text : arguments.sweep) {
    SweepAxis axis = ParseSweep(text);
    Require(std::ranges::find(o.sweep, axis.name, &SweepAxis::name) == o.sweep.end(), "--sweep ",
            axis.name, " is given twice");
    Require(axis.name != "dim" || o.data.empty(), "--sweep dim needs generated data, not --data");
    for (const CLI::Option* option : OverriddenBy(axis.name, arguments)) {
      Require(!IsGiven(option), option->get_name(), " and --sweep ", axis.name,
              " exclude each other");
    }
    if (axis.name == "bits") bits = axis.values;
    o.sweep.push_back(std::move(axis));
  }
  MakeCells(o.sweep);  // throws when there are too many
  Require(!IsSwept(o) || !IsLoaded(o), "--sweep does not go with --load and --slo-ms");
  Require(!IsSwept(o) || (o.per_request.empty() && o.dump.empty()),
          "--sweep does not go with --per-request and --dump");
  return ExpandBits(
      o.methods_are_default && !bits.empty() ? kDefaultSweptMethods : arguments.methods, bits);
}

void Convert(const Arguments& arguments, Options& o) {
  o.methods_are_default = !IsGiven(arguments.methods_option);
  if (IsGiven(arguments.min_history_option)) o.min_history = arguments.min_history;
  o.split = ParseSplit(arguments.split);
  Require(arguments.cache == "warm" || arguments.cache == "cold", "cache \"", arguments.cache,
          "\" is none of warm, cold");
  o.is_cold = arguments.cache == "cold";
  if (!arguments.hyperplanes.empty()) o.hyperplanes = ParseHyperplaneKind(arguments.hyperplanes);
  Require(o.temperature > 0, "--temperature must be above 0");
  ConvertLoad(arguments, o);
  o.methods = SplitMethods(ConvertSweep(arguments, o));
  for (const Need& need : arguments.needs) {
    Require(!IsGiven(need.option) || need.holds(o), need.option->get_name(), " needs ", need.what);
  }
}

}  // namespace

std::optional<Options> ParseOptions(int argc, char** argv) {
  Options options;
  Arguments arguments;
  App app("retrieval_bench",
          "Compares retrieval methods on the same requests: recall against latency.");
  AddDataOptions(app, options, arguments);
  AddRequestOptions(app, options, arguments);
  AddMethodOptions(app, options, arguments);
  AddMeasuringOptions(app, options, arguments);
  AddLoadOptions(app, options, arguments);
  AddSweepOptions(app, options, arguments);
  AddOutputOptions(app, options);
  app.footer(HelpFooter());
  if (!app.Parse(argc, argv)) return std::nullopt;
  if (arguments.list_methods) {
    std::cout << MethodsHelp();
    return std::nullopt;
  }
  Convert(arguments, options);
  options.command_line.assign(argv, argv + argc);
  return options;
}

}  // namespace eta::bench
