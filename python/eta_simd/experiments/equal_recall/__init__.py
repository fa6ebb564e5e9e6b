# SPDX-License-Identifier: Apache-2.0
"""Latency per candidate at equal recall: command.py runs it, scripts/equal_recall.sh builds for it."""
