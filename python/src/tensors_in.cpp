// SPDX-License-Identifier: Apache-2.0
#include "tensors_in.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "errors.hpp"
#include "ferrule/text.hpp"
#include "tensor_reader.hpp"
#include "text.hpp"

namespace ferrule::python {

namespace nb = nanobind;

namespace {

constexpr std::size_t kShapeBlock = 4096;

}  // namespace

std::string TensorName::to_string() const {
  return std::string(argument) + "[" + quote(name) + "]";
}

/// Fills a LiveTensors.
class TensorReader {
 public:
  TensorReader(LiveTensors& into, std::string_view argument, Accept accept)
      : into_(into), argument_(argument), accept_(accept) {}

  void read(nb::handle tensors) {
    if (!PyDict_Check(tensors.ptr())) {
      raise_type(std::string(argument_), "a dict of str to torch.Tensor or numpy.ndarray", tensors);
    }
    // A copy, because reading may run code of Python that changes the dict.
    const nb::object copy = nb::steal(PyDict_Copy(tensors.ptr()));
    if (!copy.is_valid()) throw nb::python_error();
    into_.kept_.add(copy);
    into_.tensors_.reserve(static_cast<std::size_t>(PyDict_Size(copy.ptr())));
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    Py_ssize_t position = 0;
    while (PyDict_Next(copy.ptr(), &position, &key, &value)) {
      if (!PyUnicode_Check(key)) {
        raise_type(std::string(argument_) + ": a name", "str", key);
      }
      read_one(utf8_of(key), value);
    }
    read_devices();
  }

 private:
  [[noreturn]] static void raise_type(const std::string& what, const char* expected,
                                      nb::handle found) {
    throw nb::type_error(
        (what + ": expected " + expected + ", found " + type_name_of(found)).c_str());
  }

  void read_one(std::string_view name, nb::handle value) {
    const TensorName full{argument_, name};
    auto outcome = ReadOutcome::kOther;
    if (accept_ != Accept::kNumpy) outcome = read_torch(value, full, tensor_);
    if (outcome == ReadOutcome::kOther && accept_ != Accept::kTorch) {
      outcome = read_numpy(value, full, tensor_);
    }
    if (outcome == ReadOutcome::kOther) {
      raise_type(full.to_string(),
                 accept_ == Accept::kTorch   ? "a torch.Tensor"
                 : accept_ == Accept::kNumpy ? "a numpy.ndarray"
                                             : "a torch.Tensor or numpy.ndarray",
                 value);
    }
    if (outcome == ReadOutcome::kOnDevice) {
      on_device_.append(tensor_.owner);
      device_positions_.push_back(into_.tensors_.size());
      tensor_.owner.reset();
      into_.tensors_.push_back({name, {}});
      return;
    }
    into_.tensors_.push_back({name, keep(full)});
  }

  /// Tensors on devices are copied to the host together, through one buffer.
  void read_devices() {
    if (device_positions_.empty()) return;
    into_.in_place_ = false;
    const auto copied =
        nb::cast<nb::list>(nb::module_::import_("ferrule._device").attr("to_host")(on_device_));
    for (std::size_t i = 0; i < device_positions_.size(); ++i) {
      auto& place = into_.tensors_[device_positions_[i]];
      const nb::object host = copied[i];
      if (read_torch(host, {argument_, place.name}, tensor_) != ReadOutcome::kRead) {
        raise(ErrorCode::kUnsupported,
              TensorName{argument_, place.name}.to_string() + ": cannot be copied to the host");
      }
      if (!tensor_.owner.is_valid()) tensor_.owner = host;
      place.tensor = keep({argument_, place.name});
    }
  }

  TensorView keep(const TensorName& name) {
    if (tensor_.owner.is_valid()) {
      into_.in_place_ = false;
      into_.kept_.add(tensor_.owner);
      tensor_.owner.reset();
    }
    const auto shape = keep_shape(tensor_.shape());
    const auto bytes = byte_size(tensor_.dtype, shape);
    if (!bytes) {
      raise(ErrorCode::kUnsupported, name.to_string() + ": " +
                                         std::string(dtype_name(tensor_.dtype)) +
                                         " elements of this shape do not end on a byte");
    }
    return value_or_raise(
        TensorView::make(tensor_.dtype, shape, {tensor_.data, static_cast<std::size_t>(*bytes)}));
  }

  std::span<const std::uint64_t> keep_shape(std::span<const std::uint64_t> shape) {
    if (shape.empty()) return {};
    if (room_ < shape.size()) {
      into_.shapes_.push_back(std::make_unique<std::uint64_t[]>(kShapeBlock));
      room_ = kShapeBlock;
    }
    std::uint64_t* place = into_.shapes_.back().get() + (kShapeBlock - room_);
    std::copy(shape.begin(), shape.end(), place);
    room_ -= shape.size();
    return {place, shape.size()};
  }

  LiveTensors& into_;
  std::string_view argument_;
  Accept accept_;
  HostTensor tensor_;
  nb::list on_device_;
  std::vector<std::size_t> device_positions_;
  /// Left in the last block of shapes.
  std::size_t room_ = 0;
};

std::shared_ptr<LiveTensors> LiveTensors::of(nb::handle tensors, std::string_view argument,
                                             Accept accept) {
  const std::shared_ptr<LiveTensors> live(new LiveTensors());
  TensorReader(*live, argument, accept).read(tensors);
  return live;
}

std::optional<TensorView> LiveTensors::find(std::string_view name) const& noexcept {
  std::call_once(indexed_, [this] {
    for (std::size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
  });
  const auto found = index_.find(name);
  if (found == index_.end()) return std::nullopt;
  return tensors_[found->second].tensor;
}

bool LiveTensors::overlapping() const {
  std::vector<std::pair<const std::byte*, const std::byte*>> ranges;
  ranges.reserve(tensors_.size());
  for (const auto& [name, tensor] : tensors_) {
    const auto bytes = tensor.bytes();
    if (!bytes.empty()) ranges.emplace_back(bytes.data(), bytes.data() + bytes.size());
  }
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) return true;
  }
  return false;
}

std::uint64_t LiveTensors::byte_count() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : tensors_) bytes += tensor.bytes().size();
  return bytes;
}

}  // namespace ferrule::python
