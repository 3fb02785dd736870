// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ferrule/dtype.hpp"
#include "ferrule/result.hpp"

namespace ferrule::format {

// HDF5 files as h5py writes them by default (the HDF5 file format specification, version 0 of the
// superblock): Keras keeps its weights in them. Numbers are little-endian; addresses have 8 bytes.
//
//   0   signature, versions, sizes      superblock; at 56 the symbol table entry of the root
//   ..  object header, version 1        messages: type, size, flags, data; may go on elsewhere
//   ..  "TREE"                          version 1: of a group, its children are "SNOD"s
//   ..  "SNOD"                          symbol table entries: where the name and the header are
//   ..  "HEAP"                          the names of a group
//
// A dataset's header has its dataspace (1), datatype (3) and layout (8); a group's one message (17)
// with the addresses of its tree and heap. What h5py writes only if it is asked to (compression,
// chunks, newer superblocks, links) is refused by name. The numbers in brackets are the rules of
// docs/rules/EX.md.

/// A dataset. Bytes point into the file.
struct Hdf5Dataset {
  std::string path;  ///< "lora/9/vars/lora_kernel_a"
  Dtype dtype = Dtype::kF32;
  std::vector<std::uint64_t> shape = {};
  std::span<const std::byte> bytes = {};
};

/// Every dataset of the file, in the order of their names. Everything is checked against the file's
/// end before it is read. Fails with kCorrupt (EX-22: not such a file, addresses that leave it, a
/// name twice) or kUnsupported (EX-23: what Ferrule does not read of HDF5).
Result<std::vector<Hdf5Dataset>> parse_hdf5(std::span<const std::byte> file);

/// A dataset to be written: floats, or I64 without dimensions.
struct Hdf5Output {
  std::string path;
  Dtype dtype = Dtype::kF32;
  std::vector<std::uint64_t> shape = {};
  std::uint64_t bytes = 0;
};

/// Everything but the datasets' bytes, which follow in their order, each from a multiple of 8 on.
/// Fails with kUnsupported (EX-23: a dtype that HDF5 has no type for).
Result<std::string> frame_hdf5(std::span<const Hdf5Output> datasets);

}  // namespace ferrule::format
