// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <stdexcept>

#include "core/base/check.h"
#include "core/ctr/export.h"
#include "core/ctr/model.h"
#include "python/src/arrays.h"
#include "python/src/module.h"
#include "python/src/runtime.h"

namespace eta::python {
namespace {

// What one call works with.
struct CtrCallScratch {
  CtrUser user;
  CtrScratch scratch;
};

// A model with the export that it reads.
struct Model {
  Model(CtrExport read, Precision precision)
      : data(std::move(read)), model(data, ItemTables::kAll, {}, precision) {}

  CtrExport data;
  CtrModel model;
  Pool<CtrCallScratch> pool;
};

Precision ToPrecision(py::handle value) {
  const std::string name = ToText(value, "precision");
  for (const Precision precision : {Precision::kFloat32, Precision::kInt8}) {
    if (name == PrecisionName(precision)) return precision;
  }
  throw std::invalid_argument(Cat("precision: must be float32 or int8, not '", name, "'"));
}

std::shared_ptr<Model> Make(py::handle folder, py::handle precision) {
  const std::string path = ToText(folder, "folder");
  const Precision wanted = ToPrecision(precision);
  const KernelCall call;
  return std::make_shared<Model>(ReadCtrExport(path), wanted);
}

py::object Score(const std::shared_ptr<Model>& model, py::handle user, py::handle history,
                 py::handle candidates) {
  const CtrModel& served = model->model;
  const size_t number = ToCount(user, "user", 0, kMaxCount);
  const std::vector<int32_t> window = Array<int32_t>(history, "history", 1).copy();
  const std::vector<int32_t> ids = Array<int32_t>(candidates, "candidates", 1).copy();
  NewArray<float> logits = MakeArray<float>({ids.size()});
  const auto lease = model->pool.Take([&] {
    return std::make_unique<CtrCallScratch>(CtrCallScratch{served.NewUser(), served.NewScratch()});
  });
  const KernelCall call;
  served.Prepare(number, window, lease->scratch, lease->user);
  served.Score(lease->user, ids, lease->scratch, {logits.values, ids.size()});
  return std::move(logits.array);
}

}  // namespace

void BindCtr(py::module_& module) {
  py::class_<Model, std::shared_ptr<Model>>(module, "CtrModel")
      .def_static("make", Make)
      .def_property_readonly("unit", [](const Model& m) { return CtrUnitName(m.data.unit); })
      .def_property_readonly("precision",
                             [](const Model& m) { return PrecisionName(m.model.precision()); })
      .def_property_readonly("users", [](const Model& m) { return m.data.users(); })
      .def_property_readonly("items", [](const Model& m) { return m.data.items(); })
      .def_property_readonly("max_history",
                             [](const Model& m) { return m.data.settings.max_history; })
      .def("score", Score);
}

}  // namespace eta::python
