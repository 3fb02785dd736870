// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <optional>

#include "ferrule/dtype.hpp"

namespace ferrule::python {

/// What we know of the numpy of this process. Needs the GIL.
class NumpyFacts {
 public:
  /// nullptr until somebody has imported numpy.
  static const NumpyFacts* loaded();
  /// Imports numpy. Raises ImportError where there is none.
  static const NumpyFacts& import_it();

  bool is_array(nanobind::handle object) const;

  /// By the name of a numpy.dtype: ml_dtypes' names (bfloat16, float8_e4m3fn ...) count too.
  std::optional<Dtype> dtype_of(nanobind::handle descriptor) const;
  /// The numpy.dtype; ml_dtypes is imported for those that numpy itself has not. Raises
  /// UnsupportedError where there is none; `name` is the tensor's.
  nanobind::object numpy_dtype(Dtype dtype, std::string_view name) const;

  nanobind::object module;
  nanobind::object array_type;

 private:
  explicit NumpyFacts(nanobind::object numpy);
};

}  // namespace ferrule::python
