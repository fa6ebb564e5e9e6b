#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of docs/doxygen_filter.py on headers made up here."""
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))
import doxygen_filter

HEADER = """\
// SPDX-License-Identifier: Apache-2.0
// What the file is for.
#pragma once  // not of a declaration

namespace eta {

// A section, of nothing in particular.

// Codes of `n <= 3` rows & more: --methods.
void First(int n);
void Second(int n);

// Twice.
template <class T>
T Third(T x);
template <class T>
T Third(T x, T y);

void Alone();

// A thing.
struct Thing {
  int size;   // rows,
              // at most 3
  // Of the thing.
  int get() const {
    // why
    return size;  // here
  }
  int put() const;

 private:
  class Inner {
    int size;  // columns
  };
};

extern "C" {
// Linked as C.
int fourth(void);
}

}  // namespace eta
"""

FILTERED = """\
/// @file
/// What the file is for.
#pragma once  // not of a declaration

namespace eta {

// A section, of nothing in particular.

/// Codes of `n <= 3` rows \\& more: \\--methods.
void First(int n);
/** Codes of `n <= 3` rows \\& more: \\--methods. */ void Second(int n);

/// Twice.
template <class T>
T Third(T x);
/** Twice. */ template <class T>
T Third(T x, T y);

void Alone();

/// A thing.
struct Thing {
  int size;   ///< rows,
              ///< at most 3
  /// Of the thing.
  int get() const {
    // why
    return size;  // here
  }
  int put() const;

 private:
  class Inner {
    int size;  ///< columns
  };
};

extern "C" {
/// Linked as C.
int fourth(void);
}

}  // namespace eta
"""


class Filtered(unittest.TestCase):
    def test_comments_of_declarations_change_and_no_others(self):
        self.assertEqual(doxygen_filter.filtered(HEADER.splitlines()), FILTERED.splitlines())

    def test_without_a_comment_at_its_head(self):
        self.assertEqual(doxygen_filter.filtered(["#pragma once", "int X();"]),
                         ["#pragma once", "int X();"])


if __name__ == "__main__":
    unittest.main()
