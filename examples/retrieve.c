// SPDX-License-Identifier: Apache-2.0
// ETA retrieval by the C interface: hash items, prepare a user, retrieve, append, and score with an
// exported CTR model if a folder is named.
//
//   cc -std=c11 retrieve.c $(pkg-config --cflags --libs eta-c) && ./a.out [MODEL]
#include <stdio.h>
#include <stdlib.h>

#include "eta_simd.h"

enum { kItems = 1000, kDim = 16, kBits = 64, kLength = 300, kCandidates = 3, kTop = 4 };

static void Check(eta_status status) {
  if (status == ETA_OK) return;
  fprintf(stderr, "error %d: %s\n", (int)status, eta_last_error());
  exit(1);
}

static void Retrieve(const eta_history* user, const int32_t* candidates) {
  int32_t positions[kCandidates * kTop], counts[kCandidates];
  Check(eta_retrieve(user, candidates, kCandidates, kTop, positions, kCandidates * kTop, counts,
                     kCandidates));
  for (int c = 0; c < kCandidates; ++c) {
    printf("candidate %d:", (int)candidates[c]);
    for (int i = 0; i < counts[c]; ++i) printf(" %d", (int)positions[c * kTop + i]);
    printf("\n");
  }
}

static void Score(const char* folder) {
  eta_ctr_model* model = NULL;
  eta_ctr_user* user = NULL;
  size_t users, items, max_history;
  Check(eta_ctr_model_load(folder, &model));
  Check(eta_ctr_model_shape(model, &users, &items, &max_history));
  const int32_t candidates[] = {0, 1};
  float logits[2];
  Check(eta_ctr_user_prepare(model, 0, candidates, 2, &user));
  Check(eta_ctr_model_close(model));  // the user keeps it
  Check(eta_ctr_score(user, candidates, 2, logits, 2));
  printf("%zu users, %zu items: logits %f and %f\n", users, items, logits[0], logits[1]);
  Check(eta_ctr_user_close(user));
}

int main(int argc, char** argv) {
  static float items[kItems * kDim];
  static uint8_t codes[kItems * kBits / 8];
  int32_t history[kLength];
  for (size_t i = 0; i < kItems * kDim; ++i) items[i] = (float)(i * i % 4093) / 2048.0f - 1.0f;
  for (int i = 0; i < kLength; ++i) history[i] = i * 7 % kItems;

  eta_hyperplanes* planes = NULL;
  eta_code_table* table = NULL;
  eta_history* user = NULL;
  Check(eta_hyperplanes_make("orthogonal", kDim, kBits, 1, &planes));
  Check(eta_encode(planes, items, kItems * kDim, kItems, codes, sizeof(codes)));
  Check(eta_code_table_make(codes, sizeof(codes), kItems, kBits, &table));
  Check(eta_history_prepare(table, history, kLength, &user));
  const int32_t candidates[kCandidates] = {5, 14, 700};
  Retrieve(user, candidates);
  Check(eta_history_append(user, candidates[0]));  // now the nearest to itself
  Retrieve(user, candidates);
  if (argc > 1) Score(argv[1]);

  Check(eta_history_close(user));
  Check(eta_code_table_close(table));
  Check(eta_hyperplanes_close(planes));
  printf("%s on %s\n", eta_version(), eta_target());
  return 0;
}
