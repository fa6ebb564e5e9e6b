// SPDX-License-Identifier: Apache-2.0
// Choosing a SIMD target: simd/target.h and core/base/simd_env.h.
#include "simd/target.h"

#include <cstdlib>
#include <iostream>
#include <iterator>
#include <set>
#include <sstream>
#include <stdexcept>

#include "core/base/simd_env.h"
#include "tests/support/sanitizers.h"
#include "tests/support/target_test_util.h"

namespace eta::test {
namespace {

constexpr char kVariable[] = "ETA_SIMD_TARGET";

std::string Names(int64_t targets) {
  std::string names;
  for (auto rest = static_cast<uint64_t>(targets); rest != 0; rest &= rest - 1) {
    names += std::string(" ") + simd::TargetName(static_cast<int64_t>(rest & (~rest + 1)));
  }
  return names;
}

std::set<std::string> NameSet(int64_t targets) {
  std::set<std::string> names;
  for (auto rest = static_cast<uint64_t>(targets); rest != 0; rest &= rest - 1) {
    names.insert(simd::TargetName(static_cast<int64_t>(rest & (~rest + 1))));
  }
  return names;
}

// Every test starts and ends with the best target and the variable as it found it.
class TargetChoiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* value = std::getenv(kVariable);
    had_value_ = value != nullptr;
    if (had_value_) value_ = value;
    unsetenv(kVariable);
    ASSERT_TRUE(simd::ForceTargetForTest(nullptr));
    best_ = simd::ActiveTarget();
  }
  void TearDown() override {
    if (had_value_) setenv(kVariable, value_.c_str(), 1);
    if (!had_value_) unsetenv(kVariable);
    EXPECT_TRUE(simd::ForceTargetForTest(nullptr));
  }

  int64_t best_ = 0;

 private:
  bool had_value_ = false;
  std::string value_;
};

// What the per-target suites run, in the log; and a failure when it is less than this CPU can do.
TEST_F(TargetChoiceTest, EveryTargetOfThisCpuIsTested) {
  const int64_t compiled = simd::CompiledTargets();
  const int64_t supported = simd::SupportedTargets();
  std::cout << "compiled:" << Names(compiled) << "\ntested:" << Names(supported)
            << "\nnot supported by this CPU:" << Names(compiled & ~supported) << "\n";
  EXPECT_EQ(supported & ~compiled, 0);
  EXPECT_NE(supported & best_, 0);
  const std::set<std::string> names = NameSet(supported);
  EXPECT_TRUE(names.count("EMU128") + names.count("SCALAR") == 1) << Names(supported);
#if defined(__x86_64__)
  const bool dl =
      __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512bitalg");
  // Highway's SSE4 is SSE4.2 with AES and PCLMUL, which virtual machines may lack.
  const bool sse4 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("aes") &&
                    __builtin_cpu_supports("pclmul");
  const std::pair<const char*, bool> expected[] = {{"SSSE3", __builtin_cpu_supports("ssse3")},
                                                   {"SSE4", sse4},
                                                   {"AVX2", __builtin_cpu_supports("avx2")},
                                                   {"AVX3", __builtin_cpu_supports("avx512bw")},
                                                   {"AVX3_DL", dl}};
  for (const auto& [name, has] : expected) {
    const bool is_built = !ETA_IS_THREAD_SANITIZED || name == std::string("SSE4");
    EXPECT_EQ(NameSet(compiled).count(name), is_built ? 1u : 0u) << name;
    EXPECT_EQ(names.count(name), is_built && has ? 1u : 0u) << name;
  }
#endif
}

// scripts/arm.sh says here what the CPU that it emulates has.
TEST_F(TargetChoiceTest, TheTestedTargetsAreThoseExpected) {
  const char* expected = std::getenv("ETA_EXPECT_TARGETS");
  if (expected == nullptr) return;
  std::istringstream words(expected);
  const std::set<std::string> names{std::istream_iterator<std::string>(words), {}};
  EXPECT_EQ(NameSet(simd::SupportedTargets()), names);
}

TEST_F(TargetChoiceTest, TheListHoldsEachSupportedTargetOnce) {
  int64_t all = 0;
  for (const int64_t target : SupportedTargetList()) {
    EXPECT_EQ(std::popcount(static_cast<uint64_t>(target)), 1);
    EXPECT_EQ(all & target, 0);
    EXPECT_STRNE(simd::TargetName(target), "Unknown");
    all |= target;
  }
  EXPECT_EQ(all, simd::SupportedTargets());
  EXPECT_STREQ(simd::TargetName(0), "Unknown");
}

// What a better target lacks, a lesser one lacks too: better ones have smaller numbers.
TEST_F(TargetChoiceTest, CapabilitiesGrowWithTheTarget) {
  const auto members = [](const simd::Capabilities& c) {
    return std::vector<bool>{c.fma, c.avx2, c.avx512, c.byte_popcount, c.vbmi2, c.vnni};
  };
  std::vector<bool> better(6, true);
  for (const int64_t target : SupportedTargetList()) {  // best first
    ASSERT_TRUE(simd::ForceTargetForTest(simd::TargetName(target)));
    const std::vector<bool> now = members(simd::ActiveCapabilities());
    for (size_t i = 0; i < now.size(); ++i) {
      EXPECT_LE(now[i], better[i]) << simd::TargetName(target);
    }
    better = now;
    const std::string name = simd::TargetName(target);
    const std::string expected = name == "EMU128" || name == "SSSE3" || name == "SSE4" ? ""
                                 : name == "AVX2"                                      ? "fma avx2"
                                 : name == "AVX3"    ? "fma avx2 avx512"
                                 : name == "AVX3_DL" ? "fma avx2 avx512 byte_popcount vbmi2 vnni"
                                                     : CapabilityNames();
    EXPECT_EQ(CapabilityNames(), expected) << name;
  }
}

TEST_F(TargetChoiceTest, EachSupportedTargetCanBeForcedAndLeft) {
  for (const int64_t target : SupportedTargetList()) {
    ASSERT_TRUE(simd::ForceTargetForTest(simd::TargetName(target))) << simd::TargetName(target);
    EXPECT_EQ(simd::ActiveTarget(), target) << simd::TargetName(target);
    EXPECT_EQ(simd::SupportedTargets() & target, target) << "forcing narrowed the list";
  }
  ASSERT_TRUE(simd::ForceTargetForTest(""));
  EXPECT_EQ(simd::ActiveTarget(), best_);
}

TEST_F(TargetChoiceTest, AnUnknownNameChangesNothing) {
  for (const int64_t target : SupportedTargetList()) {
    ASSERT_TRUE(simd::ForceTargetForTest(simd::TargetName(target)));
    for (const char* name : {"AVX", "avx2", "AVX2 ", " AVX2", "Unknown", "AVX3_DL_", "0", "\xFF"}) {
      EXPECT_FALSE(simd::ForceTargetForTest(name)) << name;
      EXPECT_EQ(simd::ActiveTarget(), target) << "after " << name;
    }
  }
}

TEST_F(TargetChoiceTest, AnUnsupportedTargetChangesNothing) {
  std::set<std::string> others = {"NEON", "SVE", "SVE2", "RVV", "PPC8", "WASM", "SSE2"};
  others.merge(NameSet(simd::CompiledTargets()));
  for (const std::string& name : NameSet(simd::SupportedTargets())) others.erase(name);
  ASSERT_FALSE(others.empty());
  for (const std::string& name : others) {
    EXPECT_FALSE(simd::ForceTargetForTest(name.c_str())) << name;
    EXPECT_EQ(simd::ActiveTarget(), best_) << "after " << name;
  }
}

TEST_F(TargetChoiceTest, TheVariableForcesATarget) {
  for (const int64_t target : SupportedTargetList()) {
    setenv(kVariable, simd::TargetName(target), 1);
    EXPECT_EQ(ApplyTargetFromEnvironment(), simd::TargetName(target));
    EXPECT_EQ(simd::ActiveTarget(), target);
  }
}

TEST_F(TargetChoiceTest, AMissingOrEmptyVariableForcesNothing) {
  EXPECT_EQ(ApplyTargetFromEnvironment(), simd::TargetName(best_));
  setenv(kVariable, "", 1);
  EXPECT_EQ(ApplyTargetFromEnvironment(), simd::TargetName(best_));
  EXPECT_EQ(simd::ActiveTarget(), best_);
}

TEST_F(TargetChoiceTest, ABadVariableThrowsNamingItselfAndTheChoice) {
  const int64_t target = SupportedTargetList().back();
  ASSERT_TRUE(simd::ForceTargetForTest(simd::TargetName(target)));
  for (const char* name : {"AVX9", "avx2", " ", "NEON,AVX2"}) {
    setenv(kVariable, name, 1);
    try {
      ApplyTargetFromEnvironment();
      ADD_FAILURE() << "no error for '" << name << "'";
    } catch (const std::invalid_argument& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(name), std::string::npos) << message;
      EXPECT_NE(message.find(simd::TargetName(best_)), std::string::npos) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    }
    EXPECT_EQ(simd::ActiveTarget(), target) << "after '" << name << "'";
  }
}

TEST_F(TargetChoiceTest, ANameFromElsewhere) {
  for (const int64_t target : SupportedTargetList()) {
    ForceTargetOrThrow(simd::TargetName(target));
    EXPECT_EQ(simd::ActiveTarget(), target);
  }
  EXPECT_THROW(ForceTargetOrThrow("AVX9"), std::invalid_argument);
}

}  // namespace
}  // namespace eta::test
