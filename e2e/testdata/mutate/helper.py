# SPDX-License-Identifier: MIT
"""A module of the project's own."""

SIDE = 2
