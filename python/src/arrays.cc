// SPDX-License-Identifier: Apache-2.0
#include "python/src/arrays.h"

#include "core/base/check.h"

namespace eta::python {
namespace {

struct ElementInfo {
  const char* name;   // NumPy's
  const char* kinds;  // codes of the struct module, which differ for one size
  size_t size;
};

constexpr ElementInfo kElements[] = {{"float32", "f", 4}, {"int8", "b", 1},   {"uint8", "B", 1},
                                     {"uint16", "H", 2},  {"int32", "il", 4}, {"int64", "lq", 8},
                                     {"float64", "d", 8}};

const ElementInfo& InfoOf(Element element) { return kElements[static_cast<size_t>(element)]; }

// Of NumPy; never destroyed, because Python may be gone by then.
struct NumPy {
  py::object empty, from_dlpack;
  py::object types[std::size(kElements)];
};
NumPy* numpy = nullptr;

// Takes the byte order off the format; empty where it is not this machine's.
std::string NativeFormat(const char* format) {
  std::string text = format == nullptr ? "B" : format;
  if (!text.empty() && (text[0] == '<' || text[0] == '@' || text[0] == '=')) text.erase(0, 1);
  return text;
}

bool IsOfType(const Py_buffer& view, const ElementInfo& element) {
  const std::string format = NativeFormat(view.format);
  return format.size() == 1 && std::strchr(element.kinds, format[0]) != nullptr &&
         static_cast<size_t>(view.itemsize) == element.size;
}

std::string FormatName(const Py_buffer& view) {
  for (const ElementInfo& element : kElements) {
    if (IsOfType(view, element)) return element.name;
  }
  const std::string format = NativeFormat(view.format);
  if (format == "e") return "float16";
  if (format == "?") return "bool";
  if (format == "L" || format == "Q" || format == "I") return Cat("uint", 8 * view.itemsize);
  if (format == "h") return "int16";
  return Cat("elements of format '", view.format, "'");
}

// The text of the Python error that is set, which is cleared.
std::string TakeError() {
  const py::error_already_set error;
  std::string text = py::str(error.value());
  if (const size_t end = text.find('\n'); end != std::string::npos) text.resize(end);
  return text;
}

[[noreturn]] void ThrowNoArray(py::handle object, const char* name, const ElementInfo& element,
                               size_t dimensions, const std::string& why) {
  throw py::type_error(Cat(name, ": expected a ", dimensions, "-dimensional array of ",
                           element.name, " on the CPU (buffer protocol or DLPack), got ",
                           TypeName(object), why.empty() ? "" : ": ", why));
}

// An object that has a buffer: `object` itself, or NumPy's view of its DLPack tensor.
py::object WithBuffer(py::handle object, const char* name, const ElementInfo& element,
                      size_t dimensions) {
  if (PyObject_CheckBuffer(object.ptr()) != 0) return py::reinterpret_borrow<py::object>(object);
  const int has_dlpack = PyObject_HasAttrString(object.ptr(), "__dlpack__");
  if (has_dlpack == 0) ThrowNoArray(object, name, element, dimensions, "");
  PyObject* array = PyObject_CallOneArg(numpy->from_dlpack.ptr(), object.ptr());
  if (array == nullptr) {
    if (PyErr_ExceptionMatches(PyExc_Exception) == 0) throw py::error_already_set();
    ThrowNoArray(object, name, element, dimensions, TakeError());
  }
  return py::reinterpret_steal<py::object>(array);
}

}  // namespace

std::string TypeName(py::handle object) { return Py_TYPE(object.ptr())->tp_name; }

std::string ShapeText(const size_t* shape, size_t dimensions) {
  std::string text = "(";
  for (size_t i = 0; i < dimensions; ++i) text += Cat(i == 0 ? "" : ", ", shape[i]);
  return text + (dimensions == 1 ? ",)" : ")");
}

Buffer::Buffer(py::handle object, const char* name, Element type, size_t dimensions) {
  const ElementInfo& element = InfoOf(type);
  const py::object source = WithBuffer(object, name, element, dimensions);
  if (PyObject_GetBuffer(source.ptr(), &view_, PyBUF_RECORDS_RO) != 0) {
    if (PyErr_ExceptionMatches(PyExc_Exception) == 0) throw py::error_already_set();
    ThrowNoArray(object, name, element, dimensions, TakeError());
  }
  const auto actual = static_cast<size_t>(view_.ndim);
  std::vector<size_t> shape(view_.shape, view_.shape + actual);
  std::string type_problem, value_problem;
  if (!IsOfType(view_, element)) {
    type_problem = Cat(name, ": expected ", element.name, ", got ", FormatName(view_), " of shape ",
                       ShapeText(shape.data(), actual));
  } else if (actual != dimensions) {
    value_problem = Cat(name, ": expected ", dimensions, " dimension", dimensions == 1 ? "" : "s",
                        ", got the shape ", ShapeText(shape.data(), actual));
  } else if (PyBuffer_IsContiguous(&view_, 'C') == 0) {
    value_problem = Cat(name, ": of shape ", ShapeText(shape.data(), actual),
                        " is not contiguous in C order; numpy.ascontiguousarray copies it");
  } else if (view_.len > 0 && reinterpret_cast<uintptr_t>(view_.buf) % element.size != 0) {
    value_problem = Cat(name, ": of shape ", ShapeText(shape.data(), actual),
                        " does not start at a multiple of ", element.size, " bytes");
  }
  if (type_problem.empty() && value_problem.empty()) return;
  PyBuffer_Release(&view_);
  if (!type_problem.empty()) throw py::type_error(type_problem);
  throw py::value_error(value_problem);
}

py::object MakeArray(Element element, std::initializer_list<size_t> shape, void** values) {
  auto sizes =
      py::reinterpret_steal<py::object>(PyTuple_New(static_cast<Py_ssize_t>(shape.size())));
  if (!sizes) throw py::error_already_set();
  Py_ssize_t axis = 0;
  for (const size_t size : shape) {
    PyObject* number = PyLong_FromSize_t(size);
    if (number == nullptr) throw py::error_already_set();
    PyTuple_SET_ITEM(sizes.ptr(), axis++, number);
  }
  PyObject* arguments[] = {sizes.ptr(), numpy->types[static_cast<size_t>(element)].ptr()};
  PyObject* made = PyObject_Vectorcall(numpy->empty.ptr(), arguments, 2, nullptr);
  if (made == nullptr) {
    if (PyErr_ExceptionMatches(PyExc_ValueError) != 0) {  // more bytes than an address has bits for
      PyErr_Clear();
      throw std::bad_alloc();
    }
    throw py::error_already_set();
  }
  auto array = py::reinterpret_steal<py::object>(made);
  Py_buffer view;
  if (PyObject_GetBuffer(array.ptr(), &view, PyBUF_WRITABLE) != 0) throw py::error_already_set();
  *values = view.buf;
  PyBuffer_Release(&view);  // the array keeps the memory
  return array;
}

size_t ToCount(py::handle object, const char* name, size_t least, size_t most) {
  const auto number = py::reinterpret_steal<py::object>(PyNumber_Index(object.ptr()));
  if (!number) {
    PyErr_Clear();
    throw py::type_error(Cat(name, ": expected a whole number, got ", TypeName(object)));
  }
  const unsigned long long value = PyLong_AsUnsignedLongLong(number.ptr());
  const bool is_outside = PyErr_Occurred() != nullptr;  // negative, or of more than 64 bits
  PyErr_Clear();
  if (is_outside || value < least || value > most) {
    auto text = py::reinterpret_steal<py::object>(PyObject_Str(number.ptr()));
    if (!text) PyErr_Clear();  // more digits than Python prints
    throw py::value_error(Cat(name, ": must lie in [", least, ", ", most, "], is ",
                              text ? std::string(py::str(text)) : "a number of very many digits"));
  }
  return value;
}

double ToNumber(py::handle object, const char* name) {
  const double value = PyFloat_AsDouble(object.ptr());
  if (PyErr_Occurred() == nullptr) return value;
  const bool is_number = PyErr_ExceptionMatches(PyExc_OverflowError) != 0;
  PyErr_Clear();
  if (is_number) throw py::value_error(Cat(name, ": a number of very many digits"));
  throw py::type_error(Cat(name, ": expected a number, got ", TypeName(object)));
}

std::string ToText(py::handle object, const char* name) {
  if (PyUnicode_Check(object.ptr()) == 0) {
    throw py::type_error(Cat(name, ": expected a str, got ", TypeName(object)));
  }
  std::string text = py::reinterpret_borrow<py::str>(object);
  Require(text.find('\0') == std::string::npos, name, ": has a NUL character");
  return text;
}

void InitArrays() {
  const py::module_ module = py::module_::import("numpy");
  auto* made = new NumPy;
  made->empty = module.attr("empty");
  made->from_dlpack = module.attr("from_dlpack");
  for (size_t i = 0; i < std::size(kElements); ++i) {
    made->types[i] = module.attr("dtype")(kElements[i].name);
  }
  numpy = made;
}

}  // namespace eta::python
