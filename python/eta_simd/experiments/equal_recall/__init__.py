# SPDX-License-Identifier: Apache-2.0
"""Latency per candidate at equal recall. command.py runs the experiment."""
