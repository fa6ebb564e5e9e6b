# SPDX-License-Identifier: Apache-2.0
"""What import and conversion scripts share: command line, logs, embeddings, bundles, vectors."""
