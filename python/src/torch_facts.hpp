// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <optional>
#include <utility>
#include <vector>

#include "dlpack.hpp"
#include "ferrule/dtype.hpp"

namespace ferrule::python {

/// What we know of the torch of this process: looked up once, never linked. All of it needs the
/// GIL; its references are kept for ever, as torch itself is.
class TorchFacts {
 public:
  /// nullptr until torch has been imported.
  static const TorchFacts* loaded();
  /// Imports torch. Raises ImportError if it is not installed.
  static const TorchFacts& import_it();

  /// Exactly torch.Tensor or torch.nn.Parameter: no code of Python in between.
  bool is_plain(nanobind::handle object) const noexcept {
    PyTypeObject* type = Py_TYPE(object.ptr());
    return type == tensor_type_ || type == parameter_type_;
  }
  bool is_tensor(nanobind::handle object) const;

  std::optional<Dtype> dtype_of(nanobind::handle torch_dtype) const noexcept;
  /// Invalid if this torch does not have it.
  nanobind::handle torch_dtype(Dtype dtype) const noexcept;

  nanobind::object module;
  /// torch's DLPack exchange table, or nullptr if this torch does not have one: then attributes are
  /// used.
  const dlpack::ExchangeApi* api = nullptr;
  nanobind::object strided;
  nanobind::object is_conj;
  nanobind::object is_neg;

 private:
  explicit TorchFacts(nanobind::object torch);

  PyTypeObject* tensor_type_ = nullptr;
  PyTypeObject* parameter_type_ = nullptr;
  std::vector<std::pair<nanobind::object, Dtype>> dtypes_;
};

}  // namespace ferrule::python
