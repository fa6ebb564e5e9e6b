// SPDX-License-Identifier: Apache-2.0
// The C interface of eta-simd (C11): ETA retrieval and CTR models for any language that calls C.
//
// Every function that can fail returns an eta_status and says why in eta_last_error(). A call that
// fails writes nothing but the message, except that results are unspecified where memory ran out.
// No exception and no abort crosses this border. Sizes count elements unless they are called bytes.
// Arrays belong to the caller, must be aligned for their type, and are not kept after the call. A
// pointer may be null where its size is 0.
//
// Handles are closed by the eta_..._close of their kind, in any order: a history keeps its code
// table alive, a user its model. A handle of another kind is refused with ETA_BAD_HANDLE, and so is
// a closed one until 1,000 others were closed. A pointer that is no handle is not detected.
//
// Threads: each function says what may run beside it. No thread may close a handle that another one
// uses. Functions start threads only where `threads` is more than 1, by OpenMP: not in a child made
// by fork().
#ifndef ETA_SIMD_H_
#define ETA_SIMD_H_

#include <stddef.h>
#include <stdint.h>

// What the shared library exports; a static one is built with an empty ETA_C_API.
#if defined(ETA_C_API)
#elif defined(__GNUC__)
#define ETA_C_API __attribute__((visibility("default")))
#else
#define ETA_C_API
#endif

// Changes when a program must be compiled again. Functions and error codes may be added without.
#define ETA_ABI_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

// How a call ended.
typedef int32_t eta_status;
enum {
  ETA_OK = 0,
  ETA_INVALID_ARGUMENT = 1,  // null, a wrong size, an id out of range, ...
  ETA_BAD_HANDLE = 2,        // closed, or of another kind
  ETA_BAD_DATA = 3,          // a file or folder that cannot be used
  ETA_OUT_OF_MEMORY = 4,
  ETA_INTERNAL_ERROR = 5,  // a fault of this library
  ETA_TOO_LONG = 6         // a history of more behaviours than positions can number, 2^31 - 1
};

// What a CTR model computes with.
typedef int32_t eta_precision;
enum {
  ETA_FLOAT32 = 0,
  ETA_INT8 = 1  // bytes whose products are summed exactly, with float32 scales
};

typedef struct eta_hyperplanes eta_hyperplanes;  // the random projections of SimHash
typedef struct eta_code_table eta_code_table;    // the codes of all items
typedef struct eta_history eta_history;          // a user's behaviours, oldest first
typedef struct eta_ctr_model eta_ctr_model;      // a trained CTR model
typedef struct eta_ctr_user eta_ctr_user;        // a user and history, ready to be scored

// ETA_ABI_VERSION of the library that runs. Any thread.
ETA_C_API uint32_t eta_abi_version(void);

// The version of the library, such as "0.2.0". Any thread; the string is static.
ETA_C_API const char* eta_version(void);

// The SIMD target that kernels run, such as "AVX2": the best one of this CPU. The environment
// variable ETA_SIMD_TARGET, which programs and the Python package obey, is not read, because a
// library does not take orders from its host's environment. Any thread; the string is static.
ETA_C_API const char* eta_target(void);

// Why the last call of this thread that failed did so: one line, at most 511 bytes; empty where
// none has. Any thread; valid until the next failure of this thread.
ETA_C_API const char* eta_last_error(void);

// Makes the dim x bits projection matrix: bit j of a code is 1 iff (x R)_j > 0. `kind` is
// "gaussian", "signs", "orthogonal" or "hadamard"; the same arguments give the same matrix
// everywhere. dim and bits are 1 to 4096. Any thread.
ETA_C_API eta_status eta_hyperplanes_make(const char* kind, size_t dim, size_t bits, uint64_t seed,
                                          eta_hyperplanes** out);

// The same from a matrix of a trained model: dim x bits finite floats, element (d, j) at
// matrix[d * bits + j]. matrix_size is dim * bits. Any thread.
ETA_C_API eta_status eta_hyperplanes_from_matrix(const float* matrix, size_t matrix_size,
                                                 size_t dim, size_t bits, eta_hyperplanes** out);

// The width of embeddings and of codes; a code takes (bits + 7) / 8 bytes. Any number of threads.
ETA_C_API eta_status eta_hyperplanes_shape(const eta_hyperplanes* hyperplanes, size_t* dim,
                                           size_t* bits);

// Hashes rows x dim embeddings: writes rows codes one after another, least significant bit first,
// unused bits 0. A projection of 0 or NaN gives 0. values_size is rows * dim, codes_bytes is rows *
// code bytes. The same bits on every CPU. Any number of threads.
ETA_C_API eta_status eta_encode(const eta_hyperplanes* hyperplanes, const float* values,
                                size_t values_size, size_t rows, uint8_t* codes,
                                size_t codes_bytes);

// Closes the handle; null is legal.
ETA_C_API eta_status eta_hyperplanes_close(eta_hyperplanes* hyperplanes);

// Makes a table of items codes of `bits` bits, as eta_encode writes them; codes_bytes is items *
// ((bits + 7) / 8). Item ids are 0 to items - 1. The codes are copied. Any thread.
ETA_C_API eta_status eta_code_table_make(const uint8_t* codes, size_t codes_bytes, size_t items,
                                         size_t bits, eta_code_table** out);

// The same for a model of two towers, whose items have other embeddings, and so other codes, as
// candidates than as behaviours. Both are hashed with the same hyperplanes and have the same size.
ETA_C_API eta_status eta_code_table_make_two_towers(const uint8_t* codes, size_t codes_bytes,
                                                    const uint8_t* candidate_codes,
                                                    size_t candidate_codes_bytes, size_t items,
                                                    size_t bits, eta_code_table** out);

// The number of items and of bits. Any number of threads.
ETA_C_API eta_status eta_code_table_shape(const eta_code_table* table, size_t* items, size_t* bits);

// Closes the handle; null is legal.
ETA_C_API eta_status eta_code_table_close(eta_code_table* table);

// Prepares the behaviours of a user, item ids, oldest first; none is legal. More than 2^31 - 1 are
// ETA_TOO_LONG, here and when they are appended. Any number of threads.
ETA_C_API eta_status eta_history_prepare(const eta_code_table* table, const int32_t* items,
                                         size_t count, eta_history** out);

// Adds the newest behaviour. No other thread may use this history meanwhile.
ETA_C_API eta_status eta_history_append(eta_history* history, int32_t item);

// The number of behaviours. Any number of threads, but not beside eta_history_append.
ETA_C_API eta_status eta_history_length(const eta_history* history, size_t* length);

// Closes the handle; null is legal.
ETA_C_API eta_status eta_history_close(eta_history* history);

// For each candidate item the min(k, length) positions of the history that are nearest by Hamming
// distance, in no order; equally near ones are taken from the newest. Position 0 is the oldest
// behaviour. positions_size is candidates * k: those of candidate c start at c * k, and unused ones
// are -1. counts_size is candidates: how many there are. k is at least 1. Any number of threads,
// but not beside eta_history_append to this history. Allocates scratch for the largest request so
// far, and again after a call that failed.
ETA_C_API eta_status eta_retrieve(const eta_history* history, const int32_t* candidates,
                                  size_t num_candidates, size_t k, int32_t* positions,
                                  size_t positions_size, int32_t* counts, size_t counts_size);

// The same for many requests, with up to `threads` threads (1 to 4096). Request r is histories[r]
// with candidates[offsets[r]] to candidates[offsets[r + 1] - 1]: offsets has requests + 1 numbers
// that ascend from 0 to num_candidates. All histories are of one code table. Results are those of
// all candidates, in order. Any number of threads, as above.
ETA_C_API eta_status eta_retrieve_batch(const eta_history* const* histories, size_t requests,
                                        const size_t* offsets, const int32_t* candidates,
                                        size_t num_candidates, size_t k, int32_t threads,
                                        int32_t* positions, size_t positions_size, int32_t* counts,
                                        size_t counts_size);

// Loads a model that scripts/train_ctr.py exported (docs/models.md), in float32. The folder is read
// and checked whole. Any thread.
ETA_C_API eta_status eta_ctr_model_load(const char* folder, eta_ctr_model** out);

// The same in a precision. Logits in eight bits differ from those in float32; docs/serving.md says
// by how much. A model whose activations could leave their range in eight bits is
// ETA_INVALID_ARGUMENT. Any thread.
ETA_C_API eta_status eta_ctr_model_load_as(const char* folder, eta_precision precision,
                                           eta_ctr_model** out);

// The number of users and items, and of behaviours of the longest history. Any number of threads.
ETA_C_API eta_status eta_ctr_model_shape(const eta_ctr_model* model, size_t* users, size_t* items,
                                         size_t* max_history);

// Closes the handle; null is legal.
ETA_C_API eta_status eta_ctr_model_close(eta_ctr_model* model);

// Prepares a user and a history, item ids, oldest first, of at most max_history; none is legal. Any
// number of threads.
ETA_C_API eta_status eta_ctr_user_prepare(const eta_ctr_model* model, size_t user,
                                          const int32_t* history, size_t count, eta_ctr_user** out);

// Closes the handle; null is legal.
ETA_C_API eta_status eta_ctr_user_close(eta_ctr_user* user);

// Writes the logit of each candidate item; logits_size is num_candidates. The probability of a
// click is 1 / (1 + exp(-logit)). Any number of threads. Allocates scratch for the largest request
// so far, and again after a call that failed.
ETA_C_API eta_status eta_ctr_score(const eta_ctr_user* user, const int32_t* candidates,
                                   size_t num_candidates, float* logits, size_t logits_size);

#ifdef __cplusplus
}
#endif

#endif  // ETA_SIMD_H_
