# SPDX-License-Identifier: Apache-2.0
"""When does a retrieval that finds less also rank worse: over the knobs of planted data."""
