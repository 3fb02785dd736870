// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace ferrule {

/// The files of an adapter's directory, as PEFT names them.
inline constexpr const char* kConfigFile = "adapter_config.json";
inline constexpr const char* kSafetensorsFile = "adapter_model.safetensors";
/// The weights if they were saved without safetensors. PEFT ignores it if both files exist.
inline constexpr const char* kBinFile = "adapter_model.bin";
/// The model card; optional.
inline constexpr const char* kCardFile = "README.md";

}  // namespace ferrule
