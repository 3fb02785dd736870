# SPDX-License-Identifier: Apache-2.0
"""Packages that replace others, name by name."""
