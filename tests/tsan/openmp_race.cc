// SPDX-License-Identifier: Apache-2.0
// OpenMP loops that share memory as the batch loop does: each thread writes results of its own,
// which are read after the loop. With the argument "racing" all threads add to one number as well.
#include <omp.h>

#include <cstdio>
#include <cstring>
#include <vector>

int main(int argc, char** argv) {
  const bool is_racing = argc > 1 && std::strcmp(argv[1], "racing") == 0;
  constexpr int kCount = 10000;
  std::vector<int> results(kCount);
  long shared = 0;
  for (int round = 0; round < 3; ++round) {
#pragma omp parallel for num_threads(4) schedule(dynamic, 1)
    for (int i = 0; i < kCount; ++i) {
      results[static_cast<size_t>(i)] += i;
      if (is_racing) shared += i;
    }
    for (const int result : results) shared += result;
  }
  std::printf("%ld\n", shared);
  return 0;
}
