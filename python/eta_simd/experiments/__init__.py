# SPDX-License-Identifier: Apache-2.0
"""What the experiments of scripts/ are made of: comparisons, tables and pictures of measurements."""
