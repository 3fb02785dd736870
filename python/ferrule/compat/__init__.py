# SPDX-License-Identifier: Apache-2.0
"""Packages that stand in for others, name by name."""
