# SPDX-License-Identifier: MIT
"""Imported inside construct only."""

RADIUS = 0.4
