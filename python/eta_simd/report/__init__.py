# SPDX-License-Identifier: Apache-2.0
"""The parts of scripts/report.py: what it reads, what it draws, the page it writes."""
