// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <iostream>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "baselines/methods.h"
#include "bench/common/build_info.h"
#include "bench/retrieval/help.h"
#include "bench/retrieval/load/open_loop.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

constexpr uint64_t kMaxSeed = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kMaxRepeats = 1'000'000;
constexpr double kMaxSeconds = 1e6;
constexpr uint64_t kMaxMegabytes = 1'000'000'000;

constexpr const char* kDefaultMethods =
    "exact,eta:64,eta:128,eta:256,faiss_exact,faiss_binary:64,faiss_binary:256,sim_hard,"
    "sim_soft:ivf,sim_soft:hnsw,recent";
constexpr const char* kDefaultSweptMethods =
    "exact,eta:{bits},faiss_exact,faiss_binary:{bits},sim_hard,sim_soft:ivf,sim_soft:hnsw,recent";

// True when the whole of `text` is a number that fits T.
template <class T>
bool ParseAll(const std::string& text, T& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

// Checks made before CLI11 converts: it would read "-1" as 2^64 - 1 and "010" as 8.
CLI::Validator WholeNumber(uint64_t min, uint64_t max) {
  const auto check = [min, max](std::string& text) -> std::string {
    uint64_t value = 0;
    if (!ParseAll(text, value) || value < min || value > max) {
      return Cat("\"", text, "\" is not a whole number from ", min, " to ", max);
    }
    text = std::to_string(value);
    return {};
  };
  return CLI::Validator(check, "");
}

CLI::Validator Number(double max) {
  const auto check = [max](std::string& text) -> std::string {
    double value = 0;
    if (ParseAll(text, value) && value >= 0 && value <= max) return {};
    return Cat("\"", text, "\" is not a number from 0 to ", max);
  };
  return CLI::Validator(check, "");
}

// Option values that need more than CLI11 to become fields of Options.
struct RawValues {
  std::string methods = kDefaultMethods;
  std::string hyperplanes;
  std::string split = "auto";
  std::string cache = "warm";
  std::string load;
  std::vector<std::string> sweep;
  bool list_methods = false;
};

// Adds options of one help group.
class Group {
 public:
  Group(CLI::App& app, const char* name) : app_(app), name_(name) {}

  template <class T>
  CLI::Option* Whole(const char* option, T& value, uint64_t min, uint64_t max, const char* text) {
    return app_.add_option(option, value, text)
        ->type_name("N")
        ->check(WholeNumber(min, max))
        ->group(name_);
  }
  CLI::Option* Decimal(const char* option, double& value, double max, const char* text) {
    return app_.add_option(option, value, text)->type_name("X")->check(Number(max))->group(name_);
  }
  CLI::Option* Text(const char* option, std::string& value, const char* type, const char* text) {
    return app_.add_option(option, value, text)->type_name(type)->group(name_);
  }
  void List(const char* option, std::vector<std::string>& values, const char* type,
            const char* text) {
    app_.add_option(option, values, text)
        ->type_name(type)
        ->expected(1)
        ->default_str("")
        ->take_all()
        ->group(name_);
  }
  void Flag(const char* option, bool& value, const char* text) {
    app_.add_flag(option, value, text)->group(name_);
  }

 private:
  CLI::App& app_;
  const char* name_;
};

void AddDataOptions(CLI::App& app, Options& o) {
  Group data(app, "Data");
  CLI::Option* folder =
      data.Text("--data", o.data, "DIR", "Bundle folder to read; without it data is generated");
  data.Flag("--normalize", o.normalize,
            "Scale every embedding to length 1, so that inner product is cosine");

  GeneratorOptions& g = o.generator;
  Group generated(app, "Generated data (not with --data)");
  for (CLI::Option* option :
       {generated.Whole("--users", g.users, 1, kMaxCount, "Users"),
        generated.Whole("--items", g.items, 1, kMaxCount, "Items"),
        generated.Whole("--dim", g.dim, 1, kMaxDim, "Length of an embedding"),
        generated.Whole("--categories", g.categories, 1, kMaxCount, "Item categories"),
        generated.Whole("--length", g.fixed_length, 0, kMaxCount,
                        "Behaviours of every user; 0: ragged lengths"),
        generated.Whole("--median-length", g.median_length, 1, kMaxCount,
                        "Median of the ragged lengths"),
        generated.Decimal("--sigma", g.sigma, 10, "Spread of the ragged lengths (log-normal)"),
        generated.Whole("--max-length", g.max_length, 1, kMaxCount, "Longest ragged length"),
        generated.Whole("--interests", g.interests_per_user, 1, 1000, "Interests of a user"),
        generated.Decimal("--cross-category", g.cross_category_share, 1,
                          "Share of interests that span two categories, which a search by category "
                          "must miss"),
        generated.Whole("--gen-seed", g.seed, 0, kMaxSeed, "Seed of the generator")}) {
    option->excludes(folder);
  }
}

void AddRequestOptions(CLI::App& app, Options& o) {
  Group group(app, "Requests");
  group.Whole("--requests", o.requests, 1, kMaxCount,
              "Number of requests; each has another user, in an order given by the seed");
  group.Whole("--b", o.b, 1, kMaxCandidates, "Candidates per request");
  group.Whole("--held-out", o.held_out, 0, kMaxCount,
              "Last behaviours of a user, taken out of the history and made candidates; other "
              "candidates are drawn by popularity. Unused when the bundle brings candidates");
  group.Whole("--max-history", o.max_history, 0, kMaxCount,
              "Keep only so many most recent behaviours; 0: all");
  group.Whole("--min-history", o.min_history, 0, kMaxCount,
              "Leave out users with fewer behaviours than this");
  group.Whole("--seed", o.seed, 0, kMaxSeed,
              "Seed of the choice of users and candidates, of hyperplanes and of indexes");
}

void AddMethodOptions(CLI::App& app, Options& o, RawValues& raw) {
  Group group(app, "Methods");
  group.Text("--methods", raw.methods, "LIST", "Methods to compare, separated by commas");
  group.Flag("--list-methods", raw.list_methods, "Print all methods and exit");
  group.Whole("--k", o.k, 1, kMaxK, "Behaviours to retrieve per candidate (K)");
  group.Text(
      "--hyperplanes", raw.hyperplanes, "KIND",
      "Hyperplanes of all codes: gaussian, signs, orthogonal or hadamard; without it those of "
      "the bundle are used for codes of their width, and gaussian ones else");
}

void AddMeasuringOptions(CLI::App& app, Options& o, RawValues& raw) {
  Group group(app, "Measuring");
  group.Whole("--threads", o.threads, 1, kMaxThreads, "Threads");
  group.Text("--split", raw.split, "HOW",
             "What threads share out: users (throughput), candidates of one request (latency) or "
             "auto (users if there are as many requests as threads)");
  group.Whole("--repeats", o.repeats, 1, kMaxRepeats, "Timed runs of each request and method");
  group.Flag("--pin", o.pin, "Bind each thread to a CPU of its own");
  group.Text(
      "--cache", raw.cache, "HOW",
      "warm: each turn of requests runs once before it is timed; cold: each is of a user whose "
      "prepared history has left all caches");
  group.Whole(
      "--llc-mb", o.llc_mb, 0, kMaxMegabytes,
      "With --cache cold: size of the last-level cache in MB; 0: ask the system, which in a "
      "virtual machine may name the cache of the whole socket");
  group.Whole("--cold-memory", o.cold_memory_mb, 0, kMaxMegabytes,
              "With --cache cold: MB that prepared histories may take; 0: half of the memory");
  group.Text("--target", o.target, "NAME",
             "SIMD target to run, such as AVX2; without it ETA_SIMD_TARGET, else the best one");
}

void AddLoadOptions(CLI::App& app, Options& o, RawValues& raw) {
  Group group(app, "Load");
  group.Text("--load", raw.load, "RATE,...",
             "After the closed loop, let requests arrive at these rates per second (Poisson), "
             "whether or not earlier ones are answered; --threads workers serve them whole");
  group.Decimal("--load-seconds", o.load_seconds, kMaxSeconds,
                "Seconds of arrivals per rate and method; twice that at most until all are served");
  group.Decimal("--slo-ms", o.slo_ms, kMaxSeconds,
                "Find, per method, the highest rate that keeps p99 within so many ms; 0: do not");
  group.Decimal("--slo-seconds", o.slo_seconds, kMaxSeconds,
                "Seconds that this search may take, per method");
  group.Text("--load-csv", o.load_csv, "FILE", "Write what --load and --slo-ms measured as CSV");
}

void AddSweepOptions(CLI::App& app, Options& o, RawValues& raw) {
  Group group(app, "Sweep");
  group.List(
      "--sweep", raw.sweep, "NAME=LIST",
      "Measure all combinations of values of bits, L (history length), k, b, dim or threads, "
      "such as bits=32,64,128 or L=256:65536:x4; once per name. bits fills in {bits} in "
      "--methods, such as eta:{bits}");
  group.Decimal("--time-budget", o.time_budget, kMaxSeconds,
                "Seconds after which no further combination is begun; 0: no limit");
  group.Text("--cells", o.cells, "FILE",
             "Keep finished combinations in this file, and go on from those that it holds");
}

void AddOutputOptions(CLI::App& app, Options& o) {
  Group group(app, "Output");
  group.Text("--csv", o.csv, "FILE", "Write the rows as CSV");
  group.Text("--json", o.json, "FILE", "Write rows, settings and environment as JSON");
  group.Flag("--quiet", o.quiet, "Print the table only: no header, notes or progress");
}

std::vector<double> ParseRates(const std::string& list, double seconds) {
  std::vector<double> rates;
  Require(!list.ends_with(','), "--load: \"", list, "\" ends with a comma");
  std::istringstream parts(list);
  for (std::string part; std::getline(parts, part, ',');) {
    double rate = 0;
    Require(ParseAll(part, rate) && rate > 0, "--load: \"", part,
            "\" is not a rate above 0 per second");
    const double arrivals = rate * seconds;
    Require(arrivals >= kFewestArrivals && arrivals <= static_cast<double>(kMaxArrivals),
            "--load: ", rate, " per second for ", seconds, " s are ", arrivals, " requests; ",
            kFewestArrivals, " to ", kMaxArrivals, " are supported");
    rates.push_back(rate);
  }
  return rates;
}

void ConvertLoad(const CLI::App& app, const RawValues& raw, Options& o) {
  o.load_rates = ParseRates(raw.load, o.load_seconds);
  const bool is_loaded = !o.load_rates.empty() || o.slo_ms > 0;
  for (const char* name : {"--load-seconds", "--load-csv"}) {
    Require(is_loaded || app.count(name) == 0, name, " needs --load or --slo-ms");
  }
  Require(o.slo_ms > 0 || app.count("--slo-seconds") == 0, "--slo-seconds needs --slo-ms");
  Require(o.load_seconds > 0, "--load-seconds must be above 0");
  if (!is_loaded) return;
  // A rate above what the workers can serve keeps the limit too until the backlog has grown to it.
  Require(o.slo_ms / 1000 <= (kRateStep - 1) * o.load_seconds * (1 + 1e-9), "--slo-ms ", o.slo_ms,
          " needs --load-seconds of ", o.slo_ms / 1000 / (kRateStep - 1), " or more");
  Require(!o.is_cold, "--cache cold is for the closed loop alone: leave out --load and --slo-ms");
  Require(
      o.split != Split::kCandidates,
      "--split candidates does not go with --load and --slo-ms: a worker serves whole requests");
  o.split = Split::kUsers;
}

// Options whose values a sweep would override.
const char* OverriddenBy(const std::string& axis, bool is_generated) {
  if (axis == "L") return is_generated ? "--length" : "--max-history";
  if (axis == "k") return "--k";
  if (axis == "b") return "--b";
  if (axis == "dim") return "--dim";
  return axis == "threads" ? "--threads" : "--bits";
}

// Returns the methods with their bits filled in.
std::string ConvertSweep(const CLI::App& app, const RawValues& raw, Options& o) {
  for (const char* name : {"--time-budget", "--cells"}) {
    Require(!raw.sweep.empty() || app.count(name) == 0, name, " needs --sweep");
  }
  std::vector<size_t> bits;
  for (const std::string& text : raw.sweep) {
    SweepAxis axis = ParseSweep(text);
    Require(std::ranges::find(o.sweep, axis.name, &SweepAxis::name) == o.sweep.end(), "--sweep ",
            axis.name, " is given twice");
    Require(axis.name != "dim" || o.data.empty(), "--sweep dim needs generated data, not --data");
    const char* overridden = OverriddenBy(axis.name, o.data.empty());
    Require(axis.name == "bits" || app.count(overridden) == 0, overridden, " and --sweep ",
            axis.name, " exclude each other");
    // It would cut what the sweep makes.
    Require(axis.name != "L" || app.count("--max-history") == 0,
            "--max-history and --sweep L exclude each other");
    if (axis.name == "bits") bits = axis.values;
    o.sweep.push_back(std::move(axis));
  }
  MakeCells(o.sweep);  // throws when there are too many
  Require(o.sweep.empty() || (o.load_rates.empty() && o.slo_ms == 0),
          "--sweep does not go with --load and --slo-ms");
  const bool is_default = app.count("--methods") == 0;
  return ExpandBits(is_default && !bits.empty() ? kDefaultSweptMethods : raw.methods, bits);
}

void Convert(const CLI::App& app, const RawValues& raw, Options& o) {
  o.methods_are_default = app.count("--methods") == 0;
  o.split = ParseSplit(raw.split);
  Require(raw.cache == "warm" || raw.cache == "cold", "cache \"", raw.cache,
          "\" is none of warm, cold");
  o.is_cold = raw.cache == "cold";
  for (const char* name : {"--llc-mb", "--cold-memory"}) {
    Require(o.is_cold || app.count(name) == 0, name, " needs --cache cold");
  }
  if (app.count("--hyperplanes") > 0) o.hyperplanes = ParseHyperplaneKind(raw.hyperplanes);
  // An empty text means "not given" further on.
  for (const char* name :
       {"--data", "--csv", "--json", "--target", "--load", "--load-csv", "--cells"}) {
    Require(app.count(name) == 0 || !app.get_option(name)->as<std::string>().empty(), name,
            " needs a name");
  }
  ConvertLoad(app, raw, o);
  o.methods = SplitMethods(ConvertSweep(app, raw, o));
}

}  // namespace

std::optional<Options> ParseOptions(int argc, char** argv) {
  Options options;
  RawValues raw;
  CLI::App app("Compares retrieval methods on the same requests: recall against latency.",
               "retrieval_bench");
  app.formatter(std::make_shared<HelpFormatter>());
  app.option_defaults()->always_capture_default()->take_last();
  app.set_version_flag("--version", kProjectVersion, "Print the version and exit");
  AddDataOptions(app, options);
  AddRequestOptions(app, options);
  AddMethodOptions(app, options, raw);
  AddMeasuringOptions(app, options, raw);
  AddLoadOptions(app, options, raw);
  AddSweepOptions(app, options, raw);
  AddOutputOptions(app, options);
  app.footer(HelpFooter());
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    app.exit(success);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    throw std::invalid_argument(Cat(error.what(), "; --help lists the options"));
  }
  if (raw.list_methods) {
    std::cout << MethodsHelp();
    return std::nullopt;
  }
  Convert(app, raw, options);
  options.command_line.assign(argv, argv + argc);
  return options;
}

}  // namespace eta::bench
