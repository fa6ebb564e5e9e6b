// SPDX-License-Identifier: Apache-2.0
// fmaf() and fma() for the emulator that scripts/arm.sh runs, which preloads them. They return what
// the C library's do. Emulated vectors of 32 bytes and more leave the upper halves of AVX registers
// in use, and Intel's CPUs then take long for each step from the C library's fused multiply-add to
// the SSE code of qemu 7.2. Here the upper halves are given up first: eta_asym_test takes 6 s of
// processor time on SVE_256 in place of 35.
#include <immintrin.h>

__attribute__((target("fma"))) float fmaf(float a, float b, float c) {
  float sum = _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c)));
  __asm__ volatile("vzeroupper" : "+x"(sum));
  return sum;
}

__attribute__((target("fma"))) double fma(double a, double b, double c) {
  double sum = _mm_cvtsd_f64(_mm_fmadd_sd(_mm_set_sd(a), _mm_set_sd(b), _mm_set_sd(c)));
  __asm__ volatile("vzeroupper" : "+x"(sum));
  return sum;
}
