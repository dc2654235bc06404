# SPDX-License-Identifier: MIT
"""Imported when something is drawn."""

WIDTH = 12
