// SPDX-License-Identifier: Apache-2.0
// Compiled so that its precompiled header exists for the tests.
