# SPDX-License-Identifier: Apache-2.0
"""Libraries of others in one process with this project's methods, on the same requests.

Importing this loads nothing else; rivals.py imports a library only where its rows are made.
"""
