// SPDX-License-Identifier: Apache-2.0
// Our half of admission_bench.py, through the C interface alone: reads lines "ACTION BASE ADAPTER"
// and answers each with the nanoseconds it took and a number on which both halves must agree.
#include <malloc.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "ferrule/c.h"

namespace {

template <typename Struct>
Struct sized() {
  Struct value = {};
  value.struct_size = sizeof(value);
  return value;
}

void need(ferrule_status status, const ferrule_error& error) {
  if (status == FERRULE_OK) return;
  std::cerr << "admission_bench: " << error.path << ": " << error.message << "\n";
  std::exit(1);
}

/// Opened once for each base, as an engine has it.
ferrule_base base_at(const std::string& path) {
  static std::map<std::string, ferrule_base> opened;
  const auto known = opened.find(path);
  if (known != opened.end()) return known->second;
  auto error = sized<ferrule_error>();
  ferrule_base base = {};
  need(ferrule_base_open(path.c_str(), nullptr, &base, &error), error);
  return opened[path] = base;
}

/// The modules as an engine takes them over: strength, and place and shape of every tensor.
double take_over(ferrule_adapter adapter) {
  auto error = sized<ferrule_error>();
  auto info = sized<ferrule_adapter_info>();
  need(ferrule_adapter_describe(adapter, &info, &error), error);
  double sum = 0;
  for (std::uint64_t m = 0; m < info.module_count; ++m) {
    auto module = sized<ferrule_module>();
    need(ferrule_adapter_module(adapter, m, &module, &error), error);
    sum += module.strength;
    for (std::uint64_t t = 0; t < module.tensor_count; ++t) {
      auto tensor = sized<ferrule_tensor>();
      need(ferrule_module_tensor(adapter, m, t, &tensor, &error), error);
      sum += static_cast<double>(tensor.shape[0]);
    }
  }
  return sum;
}

ferrule_adapter admit(ferrule_base base, const std::string& path, double& sum) {
  auto error = sized<ferrule_error>();
  ferrule_adapter adapter = {};
  // Refuses what breaks a rule: opening is verifying, except for the card.
  need(ferrule_adapter_open(path.c_str(), nullptr, &adapter, &error), error);
  ferrule_report report = {};
  need(ferrule_check(adapter, base, nullptr, &report, &error), error);
  auto verdict = sized<ferrule_report_info>();
  need(ferrule_report_describe(report, &verdict, &error), error);
  if (verdict.good != 1) std::exit(2);
  ferrule_report_close(report);
  sum = take_over(adapter);
  return adapter;
}

double verify(const std::string& path) {
  auto error = sized<ferrule_error>();
  ferrule_report report = {};
  need(ferrule_verify(path.c_str(), nullptr, &report, &error), error);
  auto verdict = sized<ferrule_report_info>();
  need(ferrule_report_describe(report, &verdict, &error), error);
  ferrule_report_close(report);
  return verdict.good;
}

double run(const std::string& action, ferrule_base base, const std::string& path) {
  double sum = 0;
  if (action == "verify") return verify(path);
  if (action == "verify_and_admit" && verify(path) != 1) std::exit(2);
  ferrule_adapter_close(admit(base, path, sum));
  return sum;
}

/// Bytes of heap that each of many admitted adapters holds.
std::int64_t held_bytes(ferrule_base base, const std::string& path) {
  constexpr int kMany = 100;
  double sum = 0;
  ferrule_adapter_close(admit(base, path, sum));
  const auto before = ::mallinfo2();
  std::vector<ferrule_adapter> all;
  for (int i = 0; i < kMany; ++i) all.push_back(admit(base, path, sum));
  const auto after = ::mallinfo2();
  for (const auto adapter : all) ferrule_adapter_close(adapter);
  const auto used = [](const struct mallinfo2& info) { return info.uordblks + info.hblkhd; };
  return static_cast<std::int64_t>((used(after) - used(before)) / kMany);
}

}  // namespace

int main() {
  std::cout << std::setprecision(17);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string action;
    std::string base_path;
    std::string path;
    words >> action >> base_path >> path;
    const auto base = base_at(base_path);
    if (action == "memory") {
      std::cout << held_bytes(base, path) << " 0" << std::endl;
      continue;
    }
    const auto start = std::chrono::steady_clock::now();
    const auto found = run(action, base, path);
    const auto elapsed = std::chrono::steady_clock::now() - start;
    std::cout << std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count() << " "
              << std::setprecision(17) << found << std::endl;
  }
}
