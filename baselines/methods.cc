// SPDX-License-Identifier: Apache-2.0
#include "baselines/methods.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "baselines/faiss_binary.h"
#include "baselines/faiss_exact.h"
#include "baselines/faiss_quantized.h"
#include "baselines/sim_hard.h"
#include "baselines/sim_soft.h"
#include "core/base/check.h"
#include "core/retrieval/eta.h"
#include "core/retrieval/eta_asym.h"
#include "core/retrieval/eta_gather.h"
#include "core/retrieval/eta_norm.h"
#include "core/retrieval/exact.h"
#include "core/retrieval/itq.h"
#include "core/retrieval/pq4.h"
#include "core/retrieval/random_positions.h"
#include "core/retrieval/recent.h"
#include "core/retrieval/rerank.h"
#include "core/retrieval/scan_i8.h"

namespace eta {
namespace {

// A spec that has the form of a method: what it says in the places of the form.
struct Spec {
  std::string text;
  std::vector<std::string> values;  // in order; an optional one may be missing at the end
  const ItemTable& items;
  const MethodOptions& options;
};

// A method as it is written, built and explained. In a form, words in capitals stand for values,
// and what is in brackets may be left out.
struct Method {
  std::string_view form;
  std::string_view help;
  std::unique_ptr<Retriever> (*make)(const Spec& spec);
};

template <class... Args>
void RequireSpec(bool condition, std::string_view spec, const Args&... message) {
  Require(condition, "method '", spec, "': ", message...);
}

// A plain decimal number in [1, most]. No sign, no blanks and no leading zeros, so that one method
// has one name.
size_t ParseNumber(const Spec& spec, size_t index, const char* what, size_t most) {
  const std::string& text = spec.values[index];
  size_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  RequireSpec(error == std::errc() && stop == end && text[0] != '0' && value <= most, spec.text,
              what, " must be a whole number from 1 to ", most, ", not '", text, "'");
  return value;
}

// The hyperplanes of a method whose first value is BITS.
Hyperplanes PlanesOf(const Spec& spec) {
  return MethodHyperplanes(spec.text, ParseNumber(spec, 0, "BITS", kMaxBits), spec.items,
                           spec.options);
}

using MakeFromCodes = std::unique_ptr<RefillableRetriever> (*)(std::string, const ItemTable&,
                                                               const Hyperplanes&, int threads);

template <MakeFromCodes kMake>
std::unique_ptr<RefillableRetriever> MakeOfPlanes(const Spec& spec) {
  return kMake(spec.text, spec.items, PlanesOf(spec), spec.options.threads);
}

template <MakeFromCodes kMake>
std::unique_ptr<Retriever> MakeCodeMethod(const Spec& spec) {
  return MakeOfPlanes<kMake>(spec);
}

// pq4 with the codebooks of a method whose first value is BITS.
std::unique_ptr<RefillableRetriever> MakePq4(const Spec& spec) {
  const size_t bits = ParseNumber(spec, 0, "BITS", kMaxBits);
  return MakePq4Retriever(spec.text, spec.items,
                          MethodCodebooks(spec.text, bits, spec.items, spec.options),
                          spec.options.threads);
}

// A method whose first value is BITS and whose second C, the shortlists made by what kFirst makes.
using MakeFirst = std::unique_ptr<RefillableRetriever> (*)(const Spec& spec);
using MakeReranker = std::unique_ptr<RefillableRetriever> (*)(std::string, const ItemTable&,
                                                              std::unique_ptr<RefillableRetriever>,
                                                              size_t factor);

template <MakeFirst kFirst, MakeReranker kMake>
std::unique_ptr<Retriever> MakeRerankMethod(const Spec& spec) {
  const size_t factor = ParseNumber(spec, 1, "C", kMaxRerankFactor);
  return kMake(spec.text, spec.items, kFirst(spec), factor);
}

#ifdef ETA_HAS_FAISS
FaissBinaryMode ParseMode(const Spec& spec) {
  if (spec.values.size() == 1) return FaissBinaryMode::kBest;
  const std::string& mode = spec.values[1];
  if (mode == "heap") return FaissBinaryMode::kHeap;
  if (mode == "counting") return FaissBinaryMode::kCounting;
  RequireSpec(mode == "single", spec.text, "the mode must be heap, counting or single, not '", mode,
              "'");
  return FaissBinaryMode::kSingle;
}

std::unique_ptr<Retriever> MakeFaissBinary(const Spec& spec) {
  const FaissBinaryMode mode = ParseMode(spec);
  return MakeFaissBinaryRetriever(spec.text, spec.items, PlanesOf(spec), mode,
                                  spec.options.threads);
}

// BITS is the first value, C the second where there is one.
template <bool kIsRotated>
std::unique_ptr<Retriever> MakeFaissPq4(const Spec& spec) {
  FaissPq4Options pq4{.bits = ParseNumber(spec, 0, "BITS", kMaxFaissPq4Bits),
                      .refine = 0,
                      .is_rotated = kIsRotated,
                      .seed = spec.options.seed,
                      .threads = spec.options.threads};
  if (spec.values.size() == 2) pq4.refine = ParseNumber(spec, 1, "C", kMaxRerankFactor);
  return MakeFaissPq4Retriever(spec.text, spec.items, pq4);
}

std::unique_ptr<Retriever> MakeSimSoft(const Spec& spec, SimSoftOptions::Index index,
                                       const char* effort_name) {
  SimSoftOptions soft{
      .index = index, .effort = 0, .seed = spec.options.seed, .threads = spec.options.threads};
  if (!spec.values.empty()) {
    soft.effort = ParseNumber(spec, 0, effort_name, std::numeric_limits<int>::max());
  }
  return MakeSimSoftRetriever(spec.text, spec.items, soft);
}
#endif

std::unique_ptr<Retriever> MakeExact(const Spec& spec) {
  return MakeExactRetriever(spec.text, spec.items);
}

std::unique_ptr<Retriever> MakeScanI8(const Spec& spec) {
  return MakeScanI8Retriever(spec.text, spec.items);
}

constexpr Method kMethods[] = {
    {"exact", "all inner products with this project's kernel", MakeExact},
    {"scan_f32", "exact under another name", MakeExact},
    {"cosine", "all cosines: what the recall of sign codes tends to with more bits",
     [](const Spec& spec) -> std::unique_ptr<Retriever> {
       return MakeCosineRetriever(spec.text, spec.items);
     }},
    {"scan_i8", "all inner products of embeddings quantised to int8", MakeScanI8},
    {"scan_i8_gather", "as scan_i8, but gathers the rows of a history for each request",
     [](const Spec& spec) -> std::unique_ptr<Retriever> {
       return MakeScanI8GatherRetriever(spec.text, spec.items);
     }},
    {"eta:BITS", "ETA: Hamming top-K of SimHash codes", MakeCodeMethod<MakeEtaRetriever>},
    {"eta:BITS+rerank:C", "the C*K nearest by Hamming distance, cut to K by inner product",
     MakeRerankMethod<MakeOfPlanes<MakeEtaRetriever>, MakeRerankRetriever>},
    {"eta:BITS+rerank_i8:C", "the same with inner products of embeddings quantised to int8",
     MakeRerankMethod<MakeOfPlanes<MakeEtaRetriever>, MakeRerankI8Retriever>},
    {"eta_gather:BITS", "as eta, but gathers the codes of a history for each request",
     MakeCodeMethod<MakeEtaGatherRetriever>},
    {"eta_norm:BITS", "Hamming distance times the behaviour's length",
     MakeCodeMethod<MakeEtaNormRetriever>},
    {"eta_norm:BITS+rerank:C", "the C*K best of eta_norm, cut to K by inner product",
     MakeRerankMethod<MakeOfPlanes<MakeEtaNormRetriever>, MakeRerankRetriever>},
    {"eta_norm:BITS+rerank_i8:C", "the same with inner products in int8",
     MakeRerankMethod<MakeOfPlanes<MakeEtaNormRetriever>, MakeRerankI8Retriever>},
    {"eta_asym:BITS", "the candidate's projections against codes, times a factor a behaviour",
     MakeCodeMethod<MakeEtaAsymRetriever>},
    {"eta_asym:BITS+rerank:C", "the C*K best of eta_asym, cut to K by inner product",
     MakeRerankMethod<MakeOfPlanes<MakeEtaAsymRetriever>, MakeRerankRetriever>},
    {"eta_asym:BITS+rerank_i8:C", "the same with inner products in int8",
     MakeRerankMethod<MakeOfPlanes<MakeEtaAsymRetriever>, MakeRerankI8Retriever>},
    {"eta_asym_plain:BITS", "eta_asym without the factor, on the hyperplanes of eta",
     MakeCodeMethod<MakeEtaAsymPlainRetriever>},
    {"pq4:BITS", "product quantisation, 4 bits for each of BITS / 4 subspaces",
     [](const Spec& spec) -> std::unique_ptr<Retriever> { return MakePq4(spec); }},
    {"pq4:BITS+rerank:C", "the C*K best of pq4, cut to K by inner product",
     MakeRerankMethod<MakePq4, MakeRerankRetriever>},
    {"pq4:BITS+rerank_i8:C", "the same with inner products of embeddings quantised to int8",
     MakeRerankMethod<MakePq4, MakeRerankI8Retriever>},
#ifdef ETA_HAS_FAISS
    {"faiss_exact", "all inner products with FAISS IndexFlatIP",
     [](const Spec& spec) {
       return MakeFaissExactRetriever(spec.text, spec.items, spec.options.threads);
     }},
    {"faiss_binary:BITS[:MODE]",
     "ETA's codes in FAISS IndexBinaryFlat; MODE is heap, counting or single, else the fastest",
     MakeFaissBinary},
    {"faiss_pq4:BITS", "product quantisation with FAISS IndexPQFastScan, 4 bits a subspace",
     MakeFaissPq4<false>},
    {"faiss_pq4:BITS+refine:C", "the C*K best of it, cut to K with FAISS IndexRefineFlat",
     MakeFaissPq4<false>},
    {"faiss_opq4:BITS", "faiss_pq4 behind the rotation that FAISS OPQMatrix learns",
     MakeFaissPq4<true>},
    {"faiss_opq4:BITS+refine:C", "the C*K best of it, cut to K with FAISS IndexRefineFlat",
     MakeFaissPq4<true>},
    {"faiss_sq8", "8 bits a dimension with FAISS IndexScalarQuantizer",
     [](const Spec& spec) {
       return MakeFaissSq8Retriever(spec.text, spec.items, spec.options.threads);
     }},
#ifdef ETA_FAISS_HAS_RABITQ
    {"faiss_rabitq", "a bit a dimension and two floats with FAISS IndexRaBitQ",
     [](const Spec& spec) {
       return MakeFaissRaBitQRetriever(spec.text, spec.items, spec.options.seed,
                                       spec.options.threads);
     }},
#endif
#endif
    {"sim_hard", "SIM hard search: newest behaviours of the same category",
     [](const Spec& spec) { return MakeSimHardRetriever(spec.text, spec.items); }},
#ifdef ETA_HAS_FAISS
    {"sim_soft:ivf[:NPROBE]", "SIM soft search: a FAISS IVF index for each user",
     [](const Spec& spec) { return MakeSimSoft(spec, SimSoftOptions::Index::kIvf, "NPROBE"); }},
    {"sim_soft:ivfpq[:NPROBE]", "SIM soft search: a FAISS IVF index with fast scan for each user",
     [](const Spec& spec) { return MakeSimSoft(spec, SimSoftOptions::Index::kIvfPq, "NPROBE"); }},
    {"sim_soft:hnsw[:EFSEARCH]", "SIM soft search: a FAISS HNSW index for each user",
     [](const Spec& spec) { return MakeSimSoft(spec, SimSoftOptions::Index::kHnsw, "EFSEARCH"); }},
#endif
    {"recent", "the newest K behaviours",
     [](const Spec& spec) -> std::unique_ptr<Retriever> {
       return MakeRecentRetriever(spec.text, spec.items.size());
     }},
    {"random", "K behaviours drawn at random, the floor of every measure",
     [](const Spec& spec) -> std::unique_ptr<Retriever> {
       return MakeRandomRetriever(spec.text, spec.items.size(), spec.options.seed);
     }},
};

// Said of faiss_rabitq where it is not among the methods, before the version of FAISS.
constexpr std::string_view kNoRaBitQ = "FAISS has RaBitQ from 1.11 on, this is ";

constexpr size_t kHelpColumn = 27;  // where the help begins: after the longest form and a blank

// Cuts a spec or a form before each colon and plus: "eta", ":64", "+rerank", ":4". The first part
// is the name.
std::vector<std::string_view> CutBeforeSigns(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find_first_of(":+", parts.empty() ? 0 : 1);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end);
  }
}

std::string_view NameOf(std::string_view text) { return CutBeforeSigns(text).front(); }

bool IsPlaceOfValue(std::string_view part) {
  return part.size() > 1 && part[0] == ':' && part[1] >= 'A' && part[1] <= 'Z';
}

// The values of a spec that has the form, which is without brackets here; nothing if it has not.
std::optional<std::vector<std::string>> MatchPlainForm(std::string_view form,
                                                       std::string_view spec) {
  const std::vector<std::string_view> form_parts = CutBeforeSigns(form);
  const std::vector<std::string_view> spec_parts = CutBeforeSigns(spec);
  if (form_parts.size() != spec_parts.size()) return std::nullopt;
  std::vector<std::string> values;
  for (size_t i = 0; i < form_parts.size(); ++i) {
    if (IsPlaceOfValue(form_parts[i]) && spec_parts[i].starts_with(':')) {
      values.emplace_back(spec_parts[i].substr(1));
    } else if (form_parts[i] != spec_parts[i]) {
      return std::nullopt;
    }
  }
  return values;
}

std::optional<std::vector<std::string>> MatchForm(std::string_view form, std::string_view spec) {
  const size_t bracket = form.find('[');
  if (bracket == std::string_view::npos) return MatchPlainForm(form, spec);
  const std::string_view option = form.substr(bracket + 1, form.size() - bracket - 2);
  const auto values = MatchPlainForm(form.substr(0, bracket), spec);
  return values ? values : MatchPlainForm(Cat(form.substr(0, bracket), option), spec);
}

// Throws what is wrong with a spec that has none of the forms.
[[noreturn]] void ThrowNoForm(std::string_view spec) {
  std::string forms, names;
  std::string_view last_name;
  for (const Method& method : kMethods) {
    const std::string_view name = NameOf(method.form);
    if (name == NameOf(spec)) forms += Cat(forms.empty() ? "" : " or ", method.form);
    if (name != last_name) names += Cat(names.empty() ? "" : ", ", name);
    last_name = name;
  }
#ifndef ETA_HAS_FAISS
  RequireSpec(!NameOf(spec).starts_with("faiss_") && NameOf(spec) != "sim_soft", spec,
              "needs FAISS, which this build is without");
#endif
  RequireSpec(!forms.empty() || NameOf(spec) != "faiss_rabitq", spec, kNoRaBitQ, FaissBuild());
  RequireSpec(!forms.empty(), spec, "unknown; there are ", names);
  throw std::invalid_argument(Cat("method '", spec, "': should have the form ", forms));
}

}  // namespace

Hyperplanes MethodHyperplanes(std::string_view spec, size_t bits, const ItemTable& items,
                              const MethodOptions& options) {
  if (options.loaded != nullptr && options.loaded->bits() == bits) {
    RequireSpec(options.loaded->dim() == items.dim(), spec,
                "the loaded hyperplanes have dimension ", options.loaded->dim(), ", the items ",
                items.dim());
    return *options.loaded;
  }
  const std::string_view name = NameOf(spec);
  const bool is_own = name == "eta_norm" || name == "eta_asym";
  const HyperplaneKind kind = options.hyperplanes.value_or(is_own ? HyperplaneKind::kOrthogonal
                                                                  : HyperplaneKind::kGaussian);
  if (kind == HyperplaneKind::kItq) return TrainItq(items, bits, options.seed);
  return Hyperplanes::Make(kind, items.dim(), bits, options.seed);
}

Pq4Codebooks MethodCodebooks(std::string_view spec, size_t bits, const ItemTable& items,
                             const MethodOptions& options) {
  const Pq4Codebooks* loaded = options.loaded_pq4;
  if (loaded == nullptr || loaded->bits() != bits) {
    return Pq4Codebooks::Train(items, bits, {.seed = options.seed});
  }
  RequireSpec(loaded->dim() == items.dim(), spec, "the loaded codebooks have dimension ",
              loaded->dim(), ", the items ", items.dim());
  return *loaded;
}

std::unique_ptr<Retriever> MakeMethod(std::string_view spec, const ItemTable& items,
                                      const MethodOptions& options) {
  RequireSpec(options.threads >= 1, spec, "threads must be at least 1, not ", options.threads);
  for (const Method& method : kMethods) {
    auto values = MatchForm(method.form, spec);
    if (values) return method.make({std::string(spec), std::move(*values), items, options});
  }
  ThrowNoForm(spec);
}

std::vector<std::string> SplitMethods(std::string_view list) {
  std::vector<std::string> names;
  for (std::string_view rest = list;;) {
    const size_t end = rest.find(',');
    const std::string name(rest.substr(0, end));
    Require(!name.empty(), "methods '", list, "': a name is empty");
    Require(std::ranges::find(names, name) == names.end(), "methods '", list, "': '", name,
            "' is given twice");
    names.push_back(name);
    if (end == std::string_view::npos) return names;
    rest.remove_prefix(end + 1);
  }
}

std::vector<std::string> MethodForms() {
  std::vector<std::string> forms;
  for (const Method& method : kMethods) forms.emplace_back(method.form);
  return forms;
}

std::string MethodsHelp() {
  std::string help;
  for (const Method& method : kMethods) {
    std::string form(method.form);
    form.resize(kHelpColumn, ' ');
    help += Cat(form, method.help, '\n');
  }
#ifndef ETA_HAS_FAISS
  help += "(no faiss_* and sim_soft: this build is without FAISS)\n";
#elif !defined(ETA_FAISS_HAS_RABITQ)
  help += Cat("(no faiss_rabitq: ", kNoRaBitQ, FaissBuild(), ")\n");
#endif
  return help;
}

#ifndef ETA_HAS_FAISS
std::string FaissBuild() { return "none"; }
#endif

}  // namespace eta
