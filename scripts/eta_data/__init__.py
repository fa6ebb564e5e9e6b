# SPDX-License-Identifier: Apache-2.0
"""What the import and conversion scripts share: command line, logs, embeddings, bundles, vectors."""
