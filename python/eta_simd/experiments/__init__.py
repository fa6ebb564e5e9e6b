# SPDX-License-Identifier: Apache-2.0
"""The experiments of scripts/: comparisons, tables and pictures of measurements."""
