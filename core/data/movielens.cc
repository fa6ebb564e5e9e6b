// SPDX-License-Identifier: Apache-2.0
#include "core/data/movielens.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "core/base/check.h"
#include "core/base/files.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBufferBytes = 256 << 10;  // read at a time
constexpr size_t kMaxLineBytes = 1 << 16;   // a real one has some hundreds
constexpr char kNoGenre[] = "unknown";

// Hands out the lines of a stream as views into one buffer, valid until the next call. Also keeps
// the file's name and the number of the line, for messages.
class LineReader {
 public:
  LineReader(std::istream& in, std::string name)
      : in_(in), name_(std::move(name)), buffer_(kBufferBytes) {}

  // The next line without its end ("\n" or "\r\n"), or nothing at the end of the file.
  std::optional<std::string_view> Next() {
    ++line_;
    const char* end = FindEnd();
    if (end == nullptr && !ended_) {
      Refill();
      end = FindEnd();
    }
    if (end == nullptr && !ended_) Fail("line too long", Cat("at most ", kMaxLineBytes, " bytes"));
    if (end == nullptr && begin_ == filled_) return {};
    const char* first = buffer_.data() + begin_;
    const size_t length = end != nullptr ? static_cast<size_t>(end - first) : filled_ - begin_;
    begin_ += length + (end != nullptr ? 1 : 0);
    std::string_view line(first, length);
    if (line.size() > kMaxLineBytes)
      Fail("line too long", Cat("at most ", kMaxLineBytes, " bytes"));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

  [[noreturn]] void Fail(std::string_view what, std::string_view expected,
                         std::optional<std::string_view> found = {}) const {
    const std::string tail = found ? Cat(", found ", Quote(*found)) : "";
    throw DataError(Cat(name_, ":", line_, ": ", what, " (expected ", expected, tail, ")"));
  }

 private:
  static std::string Quote(std::string_view text) {
    constexpr size_t kShown = 40;
    std::string quoted = "\"";
    for (const char c : text.substr(0, kShown)) quoted += c >= ' ' && c <= '~' ? c : '?';
    return quoted + (text.size() > kShown ? "...\"" : "\"");
  }

  const char* FindEnd() const {
    return static_cast<const char*>(std::memchr(buffer_.data() + begin_, '\n', filled_ - begin_));
  }

  // Moves the unread rest to the front and reads on behind it.
  void Refill() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, filled_ - begin_);
    filled_ -= begin_;
    begin_ = 0;
    in_.read(buffer_.data() + filled_, static_cast<std::streamsize>(buffer_.size() - filled_));
    if (in_.bad()) throw DataError(Cat(name_, ": cannot be read to its end"));
    filled_ += static_cast<size_t>(in_.gcount());
    ended_ = in_.eof();
  }

  std::istream& in_;
  std::string name_;
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t filled_ = 0;
  size_t line_ = 0;
  bool ended_ = false;
};

template <class T>
T ParseNumber(std::string_view text, const LineReader& reader, std::string_view what, T low,
              T high) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || !(value >= low && value <= high)) {
    reader.Fail(Cat("malformed ", what), Cat("a number from ", low, " to ", high), text);
  }
  return value;
}

int64_t ParseId(std::string_view text, const LineReader& reader, std::string_view what) {
  return ParseNumber<int64_t>(text, reader, what, 0, std::numeric_limits<int64_t>::max());
}

// Cuts off and returns what comes before the first separator, which must be there.
std::string_view CutField(std::string_view& rest, std::string_view separator,
                          const LineReader& reader, std::string_view expected) {
  const size_t end = rest.find(separator);
  if (end == std::string_view::npos) reader.Fail("too few fields", expected, rest);
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(end + separator.size());
  return field;
}

void CheckHeader(LineReader& reader, std::string_view expected) {
  const auto line = reader.Next();
  if (line != expected) reader.Fail("wrong header line", expected, line.value_or("an empty file"));
}

// Numbers ids in the order in which they first appear.
class IdNumbering {
 public:
  uint32_t Number(int64_t id) {
    if (!ids_.empty() && id == last_id_) return last_number_;
    const auto [entry, is_new] = numbers_.try_emplace(id, static_cast<uint32_t>(ids_.size()));
    if (is_new) ids_.push_back(id);
    last_id_ = id;
    last_number_ = entry->second;
    return last_number_;
  }

  size_t size() const { return ids_.size(); }

  // Renumbers by ascending id: returns the new number of each old one and sorts the ids themselves.
  std::pair<std::vector<int32_t>, std::vector<int64_t>> Sorted() const {
    std::vector<int32_t> order(ids_.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return ids_[a] < ids_[b]; });
    std::vector<int32_t> numbers(ids_.size());
    std::vector<int64_t> ids(ids_.size());
    for (size_t i = 0; i < order.size(); ++i) {
      numbers[order[i]] = static_cast<int32_t>(i);
      ids[i] = ids_[order[i]];
    }
    return {std::move(numbers), std::move(ids)};
  }

 private:
  std::unordered_map<int64_t, uint32_t> numbers_;
  std::vector<int64_t> ids_;
  int64_t last_id_ = 0;  // ratings come user by user
  uint32_t last_number_ = 0;
};

struct Rating {
  uint32_t user;  // in order of appearance
  uint32_t item;
  int64_t time;
};

struct Ratings {
  std::vector<Rating> rows;
  IdNumbering users;
  IdNumbering items;
};

Ratings ParseRatings(LineReader& reader, MovielensFormat format) {
  const bool csv = format == MovielensFormat::kCsv;
  const std::string_view separator = csv ? "," : "::";
  const std::string_view expected =
      csv ? "userId,movieId,rating,timestamp" : "UserID::MovieID::Rating::Timestamp";
  if (csv) CheckHeader(reader, expected);
  constexpr size_t kMaxIds = std::numeric_limits<int32_t>::max();
  Ratings ratings;
  while (const auto line = reader.Next()) {
    std::string_view rest = *line;
    const std::string_view user = CutField(rest, separator, reader, expected);
    const std::string_view item = CutField(rest, separator, reader, expected);
    const std::string_view stars = CutField(rest, separator, reader, expected);
    Rating row;
    row.user = ratings.users.Number(ParseId(user, reader, "user id"));
    row.item = ratings.items.Number(ParseId(item, reader, "movie id"));
    ParseNumber<double>(stars, reader, "rating", 0.5, 5);
    row.time = ParseId(rest, reader, "timestamp");
    if (ratings.users.size() > kMaxIds || ratings.items.size() > kMaxIds) {
      reader.Fail("too many users or movies", "fewer than 2^31");
    }
    ratings.rows.push_back(row);
  }
  if (ratings.rows.empty()) reader.Fail("no ratings", "one per line");
  return ratings;
}

// Cuts off and returns a CSV field that may stand in double quotes, with inner quotes doubled. Only
// its extent matters here, so that the doubled quotes may stay.
std::string_view CutQuotedField(std::string_view& rest, const LineReader& reader,
                                std::string_view expected) {
  if (!rest.starts_with('"')) return CutField(rest, ",", reader, expected);
  size_t end = rest.find('"', 1);
  while (end != std::string_view::npos && rest.substr(end + 1).starts_with('"')) {
    end = rest.find('"', end + 2);
  }
  if (end == std::string_view::npos || !rest.substr(end + 1).starts_with(',')) {
    reader.Fail("unclosed quotes", "a closing quote and a comma after the title", rest);
  }
  const std::string_view field = rest.substr(1, end - 1);
  rest.remove_prefix(end + 2);
  return field;
}

using Genres = std::unordered_map<int64_t, std::string>;  // first genre by original movie id

// Movie titles are skipped unread, so that their encoding (ISO-8859-1 in the 1M set) is no matter.
Genres ParseMovies(LineReader& reader, MovielensFormat format) {
  const bool csv = format == MovielensFormat::kCsv;
  const std::string_view expected = csv ? "movieId,title,genres" : "MovieID::Title::Genres";
  if (csv) CheckHeader(reader, expected);
  Genres genres;
  while (const auto line = reader.Next()) {
    std::string_view rest = *line;
    const std::string_view id_text = CutField(rest, csv ? "," : "::", reader, expected);
    const int64_t id = ParseId(id_text, reader, "movie id");
    if (csv) {
      CutQuotedField(rest, reader, expected);
    } else {
      CutField(rest, "::", reader, expected);
    }
    const std::string_view genre = rest.substr(0, rest.find('|'));
    if (genre.empty() || rest.find(csv ? "," : "::") != std::string_view::npos) {
      reader.Fail("malformed genres", "genres parted by '|'", rest);
    }
    if (!genres.try_emplace(id, genre).second) {
      reader.Fail("repeated movie id", "each movie once", id_text);
    }
  }
  return genres;
}

// Sorts one user's behaviours by time unless they are in order, as they are in many data sets.
void SortByTime(std::span<int64_t> times, std::span<int32_t> items) {
  if (std::is_sorted(times.begin(), times.end())) return;
  std::vector<std::pair<int64_t, int32_t>> behaviours(times.size());
  for (size_t i = 0; i < times.size(); ++i) behaviours[i] = {times[i], items[i]};
  std::stable_sort(behaviours.begin(), behaviours.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 0; i < times.size(); ++i) std::tie(times[i], items[i]) = behaviours[i];
}

// Deals the rows out to their users, in file order, then orders each user's by time.
Histories MakeHistories(std::span<const Rating> rows, std::span<const int32_t> user_numbers,
                        std::span<const int32_t> item_numbers) {
  Histories histories;
  histories.offsets.assign(user_numbers.size() + 1, 0);
  for (const Rating& row : rows) ++histories.offsets[user_numbers[row.user] + 1];
  std::partial_sum(histories.offsets.begin(), histories.offsets.end(), histories.offsets.begin());
  histories.items.resize(rows.size());
  histories.times.resize(rows.size());
  std::vector<int64_t> next(histories.offsets.begin(), histories.offsets.end() - 1);
  for (const Rating& row : rows) {
    const int64_t position = next[user_numbers[row.user]]++;
    histories.items[position] = item_numbers[row.item];
    histories.times[position] = row.time;
  }
  for (size_t user = 0; user < histories.users(); ++user) {
    const size_t begin = histories.offsets[user];
    const size_t length = histories.offsets[user + 1] - begin;
    SortByTime(std::span(histories.times).subspan(begin, length),
               std::span(histories.items).subspan(begin, length));
  }
  return histories;
}

void SetCategories(const Genres& genres, MovielensLog& log) {
  std::vector<std::string> item_genres;
  for (const int64_t id : log.item_ids) {
    const auto found = genres.find(id);
    item_genres.push_back(found != genres.end() ? found->second : kNoGenre);
  }
  auto& names = log.category_names;
  names = item_genres;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string& genre : item_genres) {
    const auto found = std::lower_bound(names.begin(), names.end(), genre);
    log.categories.push_back(static_cast<int32_t>(found - names.begin()));
  }
}

}  // namespace

MovielensLog ReadMovielens(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder, error)) throw DataError(Cat(folder.string(), ": does not exist"));
  const bool csv = fs::exists(folder / "ratings.csv", error);
  if (!csv && !fs::exists(folder / "ratings.dat", error)) {
    if (fs::exists(folder / "u.data", error)) {
      throw DataError(Cat(folder.string(), ": has u.data, the form of MovieLens 100K, which ",
                          "scripts/import_movielens.py imports and this does not"));
    }
    throw DataError(Cat(folder.string(), ": not a MovieLens folder (expected ratings.csv or ",
                        "ratings.dat in it, found neither)"));
  }
  std::ifstream ratings = OpenRegularFile(folder / (csv ? "ratings.csv" : "ratings.dat"));
  std::ifstream movies = OpenRegularFile(folder / (csv ? "movies.csv" : "movies.dat"));
  return ParseMovielens(ratings, movies, csv ? MovielensFormat::kCsv : MovielensFormat::kDat,
                        folder);
}

MovielensLog ParseMovielens(std::istream& ratings_in, std::istream& movies_in,
                            MovielensFormat format, const fs::path& folder) {
  const bool csv = format == MovielensFormat::kCsv;
  LineReader movies_reader(movies_in, (folder / (csv ? "movies.csv" : "movies.dat")).string());
  const Genres genres = ParseMovies(movies_reader, format);
  LineReader ratings_reader(ratings_in, (folder / (csv ? "ratings.csv" : "ratings.dat")).string());
  const Ratings ratings = ParseRatings(ratings_reader, format);
  MovielensLog log;
  std::vector<int32_t> user_numbers;
  std::vector<int32_t> item_numbers;
  std::tie(user_numbers, log.user_ids) = ratings.users.Sorted();
  std::tie(item_numbers, log.item_ids) = ratings.items.Sorted();
  log.histories = MakeHistories(ratings.rows, user_numbers, item_numbers);
  SetCategories(genres, log);
  return log;
}

}  // namespace eta
