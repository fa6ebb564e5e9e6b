// SPDX-License-Identifier: Apache-2.0
// A header of the parent project, of the same name as one of the kernels'.
#pragma once

inline constexpr int kViewsOfTheParent = 1;
