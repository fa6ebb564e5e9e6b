// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "core/base/random.h"

namespace eta {

// Returns `text` with one to four random changes: bytes flipped, overwritten, inserted, removed,
// digits exchanged, a stretch doubled, the end cut off.
inline std::string Mutate(std::string text, Random& random) {
  constexpr std::string_view kTelling = "0123456789,:|'\"(){}<-\n\\ ";
  const auto position = [&] { return random.Below(static_cast<uint32_t>(text.size()) + 1); };
  for (uint32_t changes = 1 + random.Below(4); changes > 0; --changes) {
    const size_t at = position();
    const char telling = kTelling[random.Below(kTelling.size())];
    switch (random.Below(6)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << random.Below(8)));
        break;
      case 1:
        if (at < text.size()) text[at] = telling;
        break;
      case 2:
        text.insert(at, 1 + random.Below(3), telling);
        break;
      case 3:
        text.erase(at, 1 + random.Below(8));
        break;
      case 4:
        text.insert(at, text.substr(position(), 1 + random.Below(16)));
        break;
      case 5:
        if (random.Below(4) == 0) text.resize(at);
        break;
    }
  }
  return text;
}

}  // namespace eta
