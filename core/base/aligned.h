// SPDX-License-Identifier: Apache-2.0
// Vectors that start at a cache line, as the kernels like them.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace eta {

inline constexpr size_t kAlignment = 64;  // bytes: one cache line, one AVX-512 vector

// A standard allocator whose memory is aligned to kAlignment bytes.
template <class T>
struct AlignedAllocator {
  using value_type = T;  // what std::allocator_traits asks for
  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}
  // Throws std::bad_alloc.
  T* allocate(size_t n) {
    return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{kAlignment}));
  }
  // `p` from allocate
  void deallocate(T* p, size_t) { ::operator delete (p, std::align_val_t{kAlignment}); }
  friend bool operator==(const AlignedAllocator&, const AlignedAllocator&) { return true; }
};

// A vector whose first element is aligned to kAlignment bytes.
template <class T>
using AlignedVector = std::vector<T, AlignedAllocator<T>>;

}  // namespace eta
