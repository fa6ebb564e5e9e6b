# SPDX-License-Identifier: Apache-2.0
"""A page of results: inputs.py reads, panels/ draws, words.py sums up, page.py writes."""
