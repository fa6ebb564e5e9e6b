// SPDX-License-Identifier: Apache-2.0
// The version of the headers. Before 1.0 a minor version may break callers; docs/abi.md says what
// may change when.
#pragma once

// From 1.0 on, new with breaking changes.
#define ETA_SIMD_VERSION_MAJOR 0
// Before 1.0, new with breaking changes; then with additions.
#define ETA_SIMD_VERSION_MINOR 2
// New with mended faults.
#define ETA_SIMD_VERSION_PATCH 0

// To compare with: 1000000 * major + 1000 * minor + patch.
#define ETA_SIMD_VERSION \
  (ETA_SIMD_VERSION_MAJOR * 1000000 + ETA_SIMD_VERSION_MINOR * 1000 + ETA_SIMD_VERSION_PATCH)
