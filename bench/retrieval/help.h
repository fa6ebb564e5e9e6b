// SPDX-License-Identifier: Apache-2.0
// What --help says at its end.
#pragma once

#include <string>

namespace eta::bench {

// The columns of a result and the exit codes.
std::string HelpFooter();

}  // namespace eta::bench
