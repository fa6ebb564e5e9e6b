// SPDX-License-Identifier: Apache-2.0
#include "baselines/methods.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "baselines/faiss_binary.h"
#include "baselines/faiss_exact.h"
#include "baselines/recent.h"
#include "baselines/sim_hard.h"
#include "baselines/sim_soft.h"
#include "core/base/check.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/rerank.h"
#include "core/retrieval/scan_i8.h"

namespace eta {
namespace {

// A spec cut at its colons; `text` is the whole.
struct Spec {
  std::string text;
  std::string method;
  std::vector<std::string> arguments;
};

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

Spec ParseSpec(std::string_view text) {
  std::vector<std::string> parts = Split(text, ':');
  Spec spec{.text = std::string(text), .method = parts.front(), .arguments = {}};
  parts.erase(parts.begin());
  spec.arguments = std::move(parts);
  return spec;
}

template <class... Args>
void RequireSpec(bool condition, const Spec& spec, const Args&... message) {
  Require(condition, "method '", spec.text, "': ", message...);
}

void RequireArguments(const Spec& spec, size_t least, size_t most, const char* form) {
  RequireSpec(spec.arguments.size() >= least && spec.arguments.size() <= most, spec,
              "should have the form ", form);
}

// A plain decimal number in [1, most]. No sign, no blanks and no leading zeros, so that one method
// has one name.
size_t ParseNumber(const Spec& spec, const std::string& text, const char* what, size_t most) {
  size_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  RequireSpec(error == std::errc() && stop == end && text[0] != '0' && value <= most, spec, what,
              " must be a whole number from 1 to ", most, ", not '", text, "'");
  return value;
}

// The hyperplanes of a method with codes: the loaded ones where they have its width, else new ones.
class PlaneSource {
 public:
  PlaneSource(const Spec& spec, const ItemTable& items, const MethodOptions& options)
      : loaded_(options.loaded) {
    const size_t bits = ParseNumber(spec, spec.arguments[0], "BITS", kMaxBits);
    if (loaded_ == nullptr || loaded_->bits() != bits) {
      loaded_ = nullptr;
      made_ = Hyperplanes::Make(options.hyperplanes, items.dim(), bits, options.seed);
      return;
    }
    RequireSpec(loaded_->dim() == items.dim(), spec, "the loaded hyperplanes have dimension ",
                loaded_->dim(), ", the items ", items.dim());
  }

  const Hyperplanes& get() const { return loaded_ != nullptr ? *loaded_ : *made_; }

 private:
  const Hyperplanes* loaded_;
  std::optional<Hyperplanes> made_;
};

std::unique_ptr<Retriever> MakeExact(const Spec& spec, const ItemTable& items,
                                     const MethodOptions&) {
  RequireArguments(spec, 0, 0, "exact");
  return MakeExactRetriever(spec.text, items);
}

constexpr const char* kEtaForm = "eta:BITS, eta:BITS+rerank:C or eta:BITS+rerank_i8:C";

// "eta:BITS+rerank:C", which was cut into "BITS+rerank" and "C", or the same with rerank_i8.
std::unique_ptr<Retriever> MakeEtaRerank(Spec spec, const ItemTable& items,
                                         const MethodOptions& options) {
  std::string& bits = spec.arguments[0];
  const size_t plus = std::min(bits.find('+'), bits.size());
  const std::string step = bits.substr(plus);
  RequireSpec(step == "+rerank" || step == "+rerank_i8", spec, "should have the form ", kEtaForm);
  bits.resize(plus);
  const size_t factor = ParseNumber(spec, spec.arguments[1], "C", kMaxRerankFactor);
  const PlaneSource planes(spec, items, options);
  const auto make = step == "+rerank" ? MakeEtaRerankRetriever : MakeEtaRerankI8Retriever;
  return make(spec.text, items, planes.get(), factor, options.threads);
}

std::unique_ptr<Retriever> MakeScanF32(const Spec& spec, const ItemTable& items,
                                       const MethodOptions&) {
  RequireArguments(spec, 0, 0, "scan_f32");
  return MakeExactRetriever(spec.text, items);
}

std::unique_ptr<Retriever> MakeScanI8(const Spec& spec, const ItemTable& items,
                                      const MethodOptions&) {
  RequireArguments(spec, 0, 0, "scan_i8");
  return MakeScanI8Retriever(spec.text, items);
}

std::unique_ptr<Retriever> MakeEta(const Spec& spec, const ItemTable& items,
                                   const MethodOptions& options) {
  RequireArguments(spec, 1, 2, kEtaForm);
  if (spec.arguments.size() == 2) return MakeEtaRerank(spec, items, options);
  const PlaneSource planes(spec, items, options);
  return MakeEtaRetriever(spec.text, items, planes.get(), options.threads);
}

std::unique_ptr<Retriever> MakeEtaGather(const Spec& spec, const ItemTable& items,
                                         const MethodOptions& options) {
  RequireArguments(spec, 1, 1, "eta_gather:BITS");
  const PlaneSource planes(spec, items, options);
  return MakeEtaGatherRetriever(spec.text, items, planes.get(), options.threads);
}

std::unique_ptr<Retriever> MakeEtaAsym(const Spec& spec, const ItemTable& items,
                                       const MethodOptions& options) {
  RequireArguments(spec, 1, 1, "eta_asym:BITS");
  const PlaneSource planes(spec, items, options);
  return MakeEtaAsymRetriever(spec.text, items, planes.get(), options.threads);
}

std::unique_ptr<Retriever> MakeFaissExact(const Spec& spec, const ItemTable& items,
                                          const MethodOptions& options) {
  RequireArguments(spec, 0, 0, "faiss_exact");
  return MakeFaissExactRetriever(spec.text, items, options.threads);
}

FaissBinaryMode ParseMode(const Spec& spec) {
  if (spec.arguments.size() == 1) return FaissBinaryMode::kBest;
  const std::string& mode = spec.arguments[1];
  if (mode == "heap") return FaissBinaryMode::kHeap;
  if (mode == "counting") return FaissBinaryMode::kCounting;
  RequireSpec(mode == "single", spec, "the mode must be heap, counting or single, not '", mode,
              "'");
  return FaissBinaryMode::kSingle;
}

std::unique_ptr<Retriever> MakeFaissBinary(const Spec& spec, const ItemTable& items,
                                           const MethodOptions& options) {
  RequireArguments(spec, 1, 2, "faiss_binary:BITS[:heap|counting|single]");
  const FaissBinaryMode mode = ParseMode(spec);
  const PlaneSource planes(spec, items, options);
  return MakeFaissBinaryRetriever(spec.text, items, planes.get(), mode, options.threads);
}

std::unique_ptr<Retriever> MakeSimHard(const Spec& spec, const ItemTable& items,
                                       const MethodOptions&) {
  RequireArguments(spec, 0, 0, "sim_hard");
  return MakeSimHardRetriever(spec.text, items);
}

std::unique_ptr<Retriever> MakeSimSoft(const Spec& spec, const ItemTable& items,
                                       const MethodOptions& options) {
  RequireArguments(spec, 1, 2, "sim_soft:ivf[:NPROBE] or sim_soft:hnsw[:EFSEARCH]");
  const bool is_ivf = spec.arguments[0] == "ivf";
  RequireSpec(is_ivf || spec.arguments[0] == "hnsw", spec, "the index must be ivf or hnsw, not '",
              spec.arguments[0], "'");
  SimSoftOptions soft{.index = is_ivf ? SimSoftOptions::Index::kIvf : SimSoftOptions::Index::kHnsw,
                      .effort = 0,
                      .seed = options.seed,
                      .threads = options.threads};
  if (spec.arguments.size() == 2) {
    soft.effort = ParseNumber(spec, spec.arguments[1], is_ivf ? "NPROBE" : "EFSEARCH",
                              static_cast<size_t>(std::numeric_limits<int>::max()));
  }
  return MakeSimSoftRetriever(spec.text, items, soft);
}

std::unique_ptr<Retriever> MakeRecent(const Spec& spec, const ItemTable& items,
                                      const MethodOptions&) {
  RequireArguments(spec, 0, 0, "recent");
  return MakeRecentRetriever(spec.text, items);
}

struct Method {
  std::string_view name;
  std::unique_ptr<Retriever> (*make)(const Spec&, const ItemTable&, const MethodOptions&);
  std::string_view help;
};

constexpr std::array kMethods = {
    Method{"exact", MakeExact,
           "exact                    all inner products with this project's kernel"},
    Method{"scan_f32", MakeScanF32, "scan_f32                 exact under another name"},
    Method{"scan_i8", MakeScanI8,
           "scan_i8                  all inner products of embeddings quantised to int8"},
    Method{"eta", MakeEta,
           "eta:BITS                 ETA: Hamming top-K of SimHash codes\n"
           "eta:BITS+rerank:C        of the C*K nearest by Hamming distance the K of largest inner "
           "product\n"
           "eta:BITS+rerank_i8:C     the same with inner products of embeddings quantised to int8"},
    Method{"eta_gather", MakeEtaGather,
           "eta_gather:BITS          as eta, but gathers the codes of a history for each request"},
    Method{"eta_asym", MakeEtaAsym,
           "eta_asym:BITS            ETA's codes, scored by the candidate's projections instead of "
           "its "
           "code"},
    Method{"faiss_exact", MakeFaissExact,
           "faiss_exact              all inner products with FAISS IndexFlatIP"},
    Method{
        "faiss_binary", MakeFaissBinary,
        "faiss_binary:BITS[:MODE] ETA's codes in FAISS IndexBinaryFlat; MODE is heap, counting or "
        "single, else the fastest"},
    Method{"sim_hard", MakeSimHard,
           "sim_hard                 SIM hard search: newest behaviours of the same category"},
    Method{"sim_soft", MakeSimSoft,
           "sim_soft:ivf[:NPROBE]    SIM soft search: FAISS IVF index a user\n"
           "sim_soft:hnsw[:EFSEARCH] SIM soft search: FAISS HNSW index a user"},
    Method{"recent", MakeRecent, "recent                   the newest K behaviours"},
};

std::string MethodNames() {
  std::string names;
  for (const Method& method : kMethods) {
    if (!names.empty()) names += ", ";
    names += method.name;
  }
  return names;
}

}  // namespace

std::unique_ptr<Retriever> MakeMethod(std::string_view spec, const ItemTable& items,
                                      const MethodOptions& options) {
  const Spec parsed = ParseSpec(spec);
  RequireSpec(options.threads >= 1, parsed, "threads must be at least 1, not ", options.threads);
  const auto method = std::ranges::find(kMethods, parsed.method, &Method::name);
  RequireSpec(method != kMethods.end(), parsed, "unknown; there are ", MethodNames());
  return method->make(parsed, items, options);
}

std::vector<std::string> SplitMethods(std::string_view list) {
  std::vector<std::string> names = Split(list, ',');
  for (auto name = names.begin(); name != names.end(); ++name) {
    Require(!name->empty(), "methods '", list, "': a name is empty");
    Require(std::find(names.begin(), name, *name) == name, "methods '", list, "': '", *name,
            "' is given twice");
  }
  return names;
}

std::string MethodsHelp() {
  std::string help;
  for (const Method& method : kMethods) {
    help += method.help;
    help += '\n';
  }
  return help;
}

}  // namespace eta
