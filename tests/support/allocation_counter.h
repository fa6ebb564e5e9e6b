// SPDX-License-Identifier: Apache-2.0
// Counts what a test program allocates, for code that promises not to. It replaces operator new, so
// only the one .cc of a program may include it.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

#include "tests/support/sanitizers.h"

namespace eta::test {

// Allocations up to now. Sanitizers have an operator new of their own; under them nothing is
// counted, which the other builds do.
inline size_t allocations = 0;

[[maybe_unused]] inline void* CountedAllocation(size_t size, size_t alignment) {
  ++allocations;
  void* p = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}

}  // namespace eta::test

#if !ETA_IS_SANITIZED
void* operator new(size_t size) {
  return eta::test::CountedAllocation(size, alignof(std::max_align_t));
}
void* operator new(size_t size, std::align_val_t alignment) {
  return eta::test::CountedAllocation(size, static_cast<size_t>(alignment));
}
// Not inlined, for GCC warns where it has inlined the free() without its operator new.
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
#endif
