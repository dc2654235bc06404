# SPDX-License-Identifier: MIT
"""Loaded by its path, under another name."""

WIDTH = 2.5
