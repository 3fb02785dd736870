// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <optional>

#include "ferrule/dtype.hpp"

namespace ferrule::python {

/// The numpy of this process. Needs the GIL.
class NumpyFacts {
 public:
  /// nullptr until numpy has been imported.
  static const NumpyFacts* loaded();
  /// Imports numpy. Raises ImportError if it is not installed.
  static const NumpyFacts& import_it();

  bool is_array(nanobind::handle object) const;

  /// By the name of a numpy.dtype: ml_dtypes' names (bfloat16, float8_e4m3fn ...) count too.
  std::optional<Dtype> dtype_of(nanobind::handle descriptor) const;
  /// The numpy.dtype; ml_dtypes is imported for those that numpy itself does not have. Raises
  /// UnsupportedError if there is none; `name` is the tensor's.
  nanobind::object numpy_dtype(Dtype dtype, std::string_view name) const;

  nanobind::object module;
  nanobind::object array_type;

 private:
  explicit NumpyFacts(nanobind::object numpy);
};

}  // namespace ferrule::python
