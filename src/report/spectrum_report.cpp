// SPDX-License-Identifier: Apache-2.0
#include "ferrule/spectrum_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace ferrule {
namespace {

constexpr double kWidth = 240;
constexpr double kHeight = 60;
constexpr double kDecades = 6;
// More points than pixels show nothing more.
constexpr std::size_t kMaxPoints = 256;

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.4g", value);
  return text;
}

std::string plot(const FactoredModule& module) {
  const auto& values = module.singular_values;
  if (values.empty() || !(values.front() > 0)) return {};
  const auto count = std::min(values.size(), kMaxPoints);
  const double step = kWidth / static_cast<double>(count);
  std::string bars;
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = i * values.size() / count;
    const double decades = values[at] > 0 ? std::log10(values.front() / values[at]) : kDecades;
    const double height = kHeight * std::max(0.0, 1 - decades / kDecades);
    bars += "<rect class=\"" + std::string(at < module.rank ? "kept" : "cut") + "\" x=\"" +
            number(step * static_cast<double>(i)) + "\" y=\"" + number(kHeight - height) +
            "\" width=\"" + number(step * 0.9) + "\" height=\"" + number(height) + "\"/>";
  }
  return "<svg viewBox=\"0 0 " + number(kWidth) + " " + number(kHeight) + "\" width=\"" +
         number(kWidth) + "\" height=\"" + number(kHeight) + "\" role=\"img\"><title>" +
         std::to_string(values.size()) + " singular values, the largest is " +
         number(values.front()) + "</title>" + bars + "</svg>";
}

constexpr std::string_view kHead =
    "<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}"
    "td,th{padding:4px 12px;text-align:left;border-bottom:1px solid #ddd}"
    ".kept{fill:#2563eb}.cut{fill:#cbd5e1}svg{background:#f8fafc}</style></head><body>\n";

}  // namespace

std::string spectrum_report(std::span<const FactoredModule> modules, std::string_view title) {
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" +
                     escaped(title) + "</title>";
  page += kHead;
  page += "<h1>" + escaped(title) + "</h1>\n<p>Singular values of each update, logarithmic over " +
          number(kDecades) +
          " decades: those that were kept are dark. Errors are relative, in Frobenius norm.</p>\n"
          "<table><tr><th>module</th><th>rank</th><th>norm</th><th>error</th><th>spectrum</th>"
          "</tr>\n";
  for (const auto& module : modules) {
    page += "<tr><td>" + escaped(module.path) + "</td><td>" + std::to_string(module.rank) +
            "</td><td>" + number(module.norm) + "</td><td>" + number(module.relative_error) +
            "</td><td>" + plot(module) + "</td></tr>\n";
  }
  return page + "</table></body></html>\n";
}

}  // namespace ferrule
