// SPDX-License-Identifier: Apache-2.0
// Views of objects that are gone at the end of the statement: every line marked BAD must be an
// error, and no other line (must_not_compile.py).
#include "ferrule/ferrule.hpp"

namespace {

ferrule::Adapter adapter();
ferrule::AdapterConfig config();
ferrule::AdapterModule adapter_module();
ferrule::BaseModel base();
ferrule::Checkpoint checkpoint();
ferrule::Json json();
ferrule::Result<ferrule::Adapter> opened();
ferrule::Result<ferrule::SafetensorsFile> file();
ferrule::SafetensorsFile safetensors_file();
ferrule::StateDict state();
ferrule::TorchFile torch_file();

template <typename T>
void use(const T&);

void good() {
  const auto kept = opened();
  use(kept->tensors());
  use((*kept).modules());
  for (const auto& finding : kept->findings()) use(finding);
  const auto& value = *opened();  // By value: its life is extended.
  use(value.config().peft_type());
  use(json().dump());
  use(adapter().file_bytes());
}

void bad() {
  use(opened()->tensors());                                // BAD
  use(file()->metadata());                                 // BAD
  use((*opened()).tensors());                              // BAD
  use(opened().value().findings());                        // BAD
  use(adapter().config());                                 // BAD
  use(adapter().modules());                                // BAD
  use(adapter().tensors());                                // BAD
  use(adapter().find("k"));                                // BAD
  use(adapter().findings());                               // BAD
  use(adapter().directory());                              // BAD
  use(adapter().weights_file());                           // BAD
  use(adapter().metadata());                               // BAD
  use(adapter().state_dict());                             // BAD
  use(adapter_module().path());                            // BAD
  use(adapter_module().tensors());                         // BAD
  use(adapter_module().find("lora_A"));                    // BAD
  use(adapter_module().resolved());                        // BAD
  use(config().peft_type());                               // BAD
  use(config().document());                                // BAD
  use(config().find("r"));                                 // BAD
  use(config().findings());                                // BAD
  use(base().config());                                    // BAD
  use(base().class_name());                                // BAD
  use(base().fingerprint());                               // BAD
  use(checkpoint().tensors());                             // BAD
  use(checkpoint().find("k"));                             // BAD
  use(checkpoint().aliases());                             // BAD
  use(checkpoint().files());                               // BAD
  use(safetensors_file().tensors());                       // BAD
  use(safetensors_file().find("k"));                       // BAD
  use(safetensors_file().metadata());                      // BAD
  use(safetensors_file().path());                          // BAD
  use(torch_file().tensors());                             // BAD
  use(torch_file().find("k"));                             // BAD
  use(torch_file().path());                                // BAD
  use(state().tensors());                                  // BAD
  use(state().find("k"));                                  // BAD
  use(json().if_bool());                                   // BAD
  use(json().if_int64());                                  // BAD
  use(json().if_float());                                  // BAD
  use(json().if_string());                                 // BAD
  use(json().if_array());                                  // BAD
  use(json().if_object());                                 // BAD
  use(json().if_big_integer());                            // BAD
  use(json().find("k"));                                   // BAD
  use(ferrule::Json(static_cast<const void*>(nullptr)));   // BAD
  use(ferrule::TensorView(ferrule::Dtype::kF32, {}, {}));  // BAD
  opened();                                                // BAD
  ferrule::verify("adapter");                              // BAD
}

}  // namespace
