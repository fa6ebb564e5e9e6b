# SPDX-License-Identifier: Apache-2.0
"""The CTR models of docs/models.md: data, skeleton, long-term units, training, export."""
