// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/hyperplanes.h"

#include <algorithm>
#include <memory>

#include "core/base/check.h"
#include "core/retrieval/batch.h"
#include "python/src/arrays.h"
#include "python/src/module.h"
#include "python/src/runtime.h"

namespace eta::python {
namespace {

// A thread takes longer to start than to hash this many rows of 64 dimensions with 64 bits.
constexpr size_t kRowsPerThread = 1024;

std::shared_ptr<Hyperplanes> Make(py::handle dim, py::handle bits, py::handle kind,
                                  py::handle seed) {
  const size_t dims = ToCount(dim, "dim", 1, kMaxDim);
  const size_t count = ToCount(bits, "bits", 1, kMaxBits);
  const HyperplaneKind of = ParseHyperplaneKind(ToText(kind, "kind"));
  const uint64_t number = ToCount(seed, "seed", 0, std::numeric_limits<uint64_t>::max());
  const KernelCall call;
  return std::make_shared<Hyperplanes>(Hyperplanes::Make(of, dims, count, number));
}

std::shared_ptr<Hyperplanes> FromArray(py::handle array) {
  const Array<float> given(array, "matrix", 2);
  const KernelCall call;
  Matrix<float> matrix(given.shape(0), given.shape(1));
  std::ranges::copy(given.span(), matrix.values.begin());
  return std::make_shared<Hyperplanes>(Hyperplanes::FromMatrix(std::move(matrix)));
}

py::object Encode(const Hyperplanes& planes, py::handle x, py::handle threads) {
  const Array<float> rows(x, "x", 2);
  const size_t most = ToCount(threads, "threads", 1, kMaxThreads);
  Require(rows.shape(1) == planes.dim(), "x: ", rows.shape(1), " columns, the hyperplanes have ",
          planes.dim(), " dimensions");
  const size_t dim = planes.dim(), bytes = planes.code_bytes();
  NewArray<uint8_t> codes = MakeArray<uint8_t>({rows.shape(0), bytes});
  {
    const KernelCall call;
    ForPieces(most, rows.shape(0), kRowsPerThread, [&](size_t begin, size_t end) {
      planes.Encode({rows.values() + begin * dim, (end - begin) * dim},
                    {codes.values + begin * bytes, (end - begin) * bytes});
    });
  }
  return codes.array;
}

}  // namespace

void BindHyperplanes(py::module_& module) {
  py::class_<Hyperplanes, std::shared_ptr<Hyperplanes>>(module, "Hyperplanes")
      .def_static("make", Make)
      .def_static("from_array", FromArray)
      .def_property_readonly("dim", &Hyperplanes::dim)
      .def_property_readonly("bits", &Hyperplanes::bits)
      .def_property_readonly("code_bytes", &Hyperplanes::code_bytes)
      .def_property_readonly("kind",
                             [](const Hyperplanes& p) { return HyperplaneKindName(p.kind()); })
      .def_property_readonly("matrix",
                             [](const Hyperplanes& p) {
                               return CopyToArray<float>(p.matrix().values, {p.dim(), p.bits()});
                             })
      .def("encode", Encode);
}

}  // namespace eta::python
