# SPDX-License-Identifier: Apache-2.0
"""Which retrieval is cheapest where the AUC of a served model is that of exact retrieval."""
