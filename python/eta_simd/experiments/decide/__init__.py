# SPDX-License-Identifier: Apache-2.0
"""Answers the questions of docs/decide.md for one bundle."""
