// SPDX-License-Identifier: Apache-2.0
// Users and events as eta_store reads and prints them.
#pragma once

#include <string>
#include <vector>

#include "core/store/history_store.h"

namespace eta::bench {

// A user given as text: with `texts` the text itself, else a whole number from -2^63 to 2^63 - 1.
// Throws std::invalid_argument for anything else; `where` comes first in the message.
UserId ParseUser(const std::string& text, bool texts, const std::string& where);

// A user as a field of a CSV.
std::string UserField(const UserId& user);

// The events of a CSV file, or of standard input where it is called "-": a first line
// "user,item,time", then one event a line, without quotes. Throws DataError, which names the line.
std::vector<Event> ReadEvents(const std::string& file, bool texts);

}  // namespace eta::bench
