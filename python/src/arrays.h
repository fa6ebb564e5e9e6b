// SPDX-License-Identifier: Apache-2.0
// Arrays and numbers as they come from Python and go back. Arrays are read through the buffer
// protocol, or by NumPy from DLPack, and never copied here; new ones are made by NumPy. Nothing
// depends on NumPy's binary interface. All functions need the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace eta::python {

namespace py = pybind11;

// The element types of arrays.
enum class Element { kFloat32, kInt8, kUint8, kUint16, kInt32, kInt64, kFloat64 };

// The Element of a C++ type.
template <class T>
constexpr Element ElementOf() {
  if constexpr (std::is_same_v<T, float>) return Element::kFloat32;
  if constexpr (std::is_same_v<T, double>) return Element::kFloat64;
  if constexpr (std::is_same_v<T, int8_t>) return Element::kInt8;
  if constexpr (std::is_same_v<T, uint8_t>) return Element::kUint8;
  if constexpr (std::is_same_v<T, uint16_t>) return Element::kUint16;
  if constexpr (std::is_same_v<T, int32_t>) return Element::kInt32;
  if constexpr (std::is_same_v<T, int64_t>) return Element::kInt64;
}

// The memory of an array that Python owns, held until this is destroyed, with the GIL.
class Buffer {
 public:
  // Takes what `object` exports. Throws TypeError when it is no array on the CPU or has elements of
  // another type, ValueError when it has not `dimensions` dimensions, is not contiguous in C order
  // or not aligned to its elements. Messages begin with `name`.
  Buffer(py::handle object, const char* name, Element element, size_t dimensions);
  ~Buffer() { PyBuffer_Release(&view_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  size_t shape(size_t axis) const { return static_cast<size_t>(view_.shape[axis]); }
  const void* data() const { return view_.buf; }
  // Elements of all dimensions.
  size_t size() const { return static_cast<size_t>(view_.len / view_.itemsize); }

 private:
  Py_buffer view_;
};

// An array of T that is read in place.
template <class T>
class Array : public Buffer {
 public:
  Array(py::handle object, const char* name, size_t dimensions)
      : Buffer(object, name, ElementOf<T>(), dimensions) {}
  const T* values() const { return static_cast<const T*>(data()); }
  std::span<const T> span() const { return {values(), size()}; }
  // A copy, for values that another thread of Python must not change while they are in use.
  std::vector<T> copy() const { return {values(), values() + size()}; }
};

// A new array of NumPy's, in C order, and where its values are. Where a KernelCall lives until the
// end of a function, return std::move(array): a copy would count a reference without the GIL.
template <class T>
struct NewArray {
  py::object array;
  T* values;
};

py::object MakeArray(Element element, std::initializer_list<size_t> shape, void** values);

// A new array of this shape, with unspecified values. Throws MemoryError.
template <class T>
NewArray<T> MakeArray(std::initializer_list<size_t> shape) {
  void* values;
  py::object array = MakeArray(ElementOf<T>(), shape, &values);
  return {std::move(array), static_cast<T*>(values)};
}

// A new array with a copy of `values`.
template <class T>
py::object CopyToArray(std::span<const T> values, std::initializer_list<size_t> shape) {
  NewArray<T> made = MakeArray<T>(shape);
  if (!values.empty()) std::memcpy(made.values, values.data(), values.size_bytes());
  return std::move(made.array);
}

// The whole number `object` in [least, most]. Throws TypeError for what is no whole number,
// ValueError for one outside.
size_t ToCount(py::handle object, const char* name, size_t least, size_t most);

// The number `object`. Throws TypeError for what is none, ValueError for one beyond all doubles.
double ToNumber(py::handle object, const char* name);

// The text `object`. Throws TypeError for what is no str, ValueError for one with a NUL character.
std::string ToText(py::handle object, const char* name);

// What a message calls the type of an object.
std::string TypeName(py::handle object);

// The shape of a message: "(3, 4)".
std::string ShapeText(const size_t* shape, size_t dimensions);

inline constexpr size_t kMaxCount = std::numeric_limits<int32_t>::max();  // positions are int32

// Looks up what the functions above need of NumPy; the module calls it when it is imported.
void InitArrays();

}  // namespace eta::python
