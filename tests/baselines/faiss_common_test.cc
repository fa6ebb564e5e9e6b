// SPDX-License-Identifier: Apache-2.0
// What all methods built on FAISS share.
#include "baselines/faiss_common.h"
#include <faiss/Index.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <string>

#include "baselines/faiss_common.h"
#include "baselines/methods.h"

namespace eta::test {
namespace {

TEST(FaissBuild, NamesVersionAndOptions) {
  const std::string build = FaissBuild();
  EXPECT_EQ(build.find(std::to_string(FAISS_VERSION_MAJOR) + "."), 0u) << build;
  EXPECT_EQ(build.find(" )"), std::string::npos) << build;
  EXPECT_EQ(build.back(), ')') << build;
}

TEST(FaissThreadGuard, SetsAndRestoresTheThreads) {
  const int before = omp_get_max_threads();
  {
    const FaissThreadGuard guard({.openmp = before + 1, .blas = 1});
    EXPECT_EQ(omp_get_max_threads(), before + 1);
  }
  EXPECT_EQ(omp_get_max_threads(), before);
  int inside = 0;
#pragma omp parallel num_threads(2)
  {
    const FaissThreadGuard guard({.openmp = 2, .blas = 2});
#pragma omp critical
    inside = std::max(inside, omp_get_max_threads());
  }
  EXPECT_EQ(inside, 1);
}

}  // namespace
}  // namespace eta::test
