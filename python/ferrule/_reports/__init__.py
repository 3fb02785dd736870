# SPDX-License-Identifier: Apache-2.0
"""Reports of the verbs, a file for each family."""
