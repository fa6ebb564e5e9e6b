# SPDX-License-Identifier: Apache-2.0
"""Data bundles: importers of public data sets, conversion of vector files, item embeddings."""
