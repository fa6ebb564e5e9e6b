# SPDX-License-Identifier: Apache-2.0
"""Ranking quality of the CTR models over several seeds. command.py runs the experiment."""
