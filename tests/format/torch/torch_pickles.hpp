// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace ferrule::test {

/// Opcodes of a persistent id: ('storage', torch.`type`, '`key`', 'cpu', `count`), with `more`
/// behind it.
inline std::string storage(const std::string& type, const std::string& key, int count,
                           const std::string& more = "") {
  return "(U\x07storagectorch\n" + type + "\nU" + std::string(1, static_cast<char>(key.size())) +
         key + "U\3cpuI" + std::to_string(count) + "\n" + more + "tQ";
}

/// Opcodes of a call of torch._utils._rebuild_tensor_v2; shape and strides are opcodes of tuples.
inline std::string tensor(const std::string& storage, int offset, const std::string& shape,
                          const std::string& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + "I" + std::to_string(offset) + "\n" +
         shape + strides + "\x89" + "ccollections\nOrderedDict\n)RtR";
}

/// {`name`: `value`} without STOP.
inline std::string dict_of(const std::string& name, const std::string& value) {
  return "}U" + std::string(1, static_cast<char>(name.size())) + name + value + "s";
}

}  // namespace ferrule::test
