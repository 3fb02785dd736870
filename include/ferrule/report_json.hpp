// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <span>

#include "ferrule/adapter.hpp"
#include "ferrule/check.hpp"
#include "ferrule/clean.hpp"
#include "ferrule/combine.hpp"
#include "ferrule/convert.hpp"
#include "ferrule/diff.hpp"
#include "ferrule/error.hpp"
#include "ferrule/explain.hpp"
#include "ferrule/export.hpp"
#include "ferrule/extract.hpp"
#include "ferrule/finding.hpp"
#include "ferrule/fix.hpp"
#include "ferrule/inspect.hpp"
#include "ferrule/json.hpp"
#include "ferrule/merge.hpp"
#include "ferrule/normalize.hpp"
#include "ferrule/resize.hpp"
#include "ferrule/save_pretrained.hpp"
#include "ferrule/scan_report.hpp"
#include "ferrule/to_lora.hpp"
#include "ferrule/verify.hpp"

namespace ferrule {

// Reports as the documents that `ferrule COMMAND --json` prints (docs/cli.md describes each). The
// functions give the fields; report_document() makes the whole document. Paths are written as the
// caller gave them. Safe to call from any number of threads.

/// FINDING and ERROR of docs/cli.md.
FERRULE_API Json to_json(const Finding& finding);
FERRULE_API Json to_json(std::span<const Finding> findings);
FERRULE_API Json to_json(const Error& error);

/// A number as it is written in documents: an integer if it is whole, null if it does not exist or
/// is not finite.
FERRULE_API Json real_json(const std::optional<double>& value);

FERRULE_API Json::Object to_json(const CheckReport& report);

/// `folder` is the one that clean() was asked about.
FERRULE_API Json::Object to_json(const CleanReport& report, const std::filesystem::path& folder);

/// `output` is the directory that fix() was asked to write.
FERRULE_API Json::Object to_json(const FixReport& report, const std::filesystem::path& output);

/// `adapter` is the one that explain() was asked about.
FERRULE_API Json::Object to_json(const StrengthReport& report, const Adapter& adapter);

/// `output` is the directory that normalize() was asked to write.
FERRULE_API Json::Object to_json(const NormalizeReport& report,
                                 const std::filesystem::path& output);

/// `a` and `b` are the paths of the two adapters. With `tensors` each module lists its tensors.
FERRULE_API Json::Object to_json(const DiffReport& report, const std::filesystem::path& a,
                                 const std::filesystem::path& b, bool tensors);

/// `output` is the directory that convert() was asked to write.
FERRULE_API Json::Object to_json(const ConvertReport& report, const std::filesystem::path& output);

/// `output` is the directory that merge() or unmerge() was asked to write.
FERRULE_API Json::Object to_json(const MergeReport& report, const std::filesystem::path& output);

FERRULE_API Json::Object to_json(const SaveReport& report);

/// What `inspect` prints: of one adapter, of a file, of a folder at `root`. With `tensors` they are
/// listed one by one.
FERRULE_API Json::Object to_json(const Adapter& adapter, bool tensors);
FERRULE_API Json::Object to_json(const ContainerSummary& file, bool tensors);
FERRULE_API Json::Object to_json(const FolderSummary& folder, const std::filesystem::path& root);
/// One adapter of a folder.
FERRULE_API Json::Object to_json(const AdapterSummary& adapter);

/// One path, and all of them: `paths` are those that were verified, in that order.
FERRULE_API Json::Object to_json(const VerifyReport& report, const std::filesystem::path& path);
FERRULE_API Json::Object to_json(std::span<const VerifyReport> reports,
                                 std::span<const std::filesystem::path> paths);

FERRULE_API Json::Object to_json(const ScanReport& report);
/// `output` is the directory that combine() was asked to write.
FERRULE_API Json::Object to_json(const CombineReport& report, const std::filesystem::path& output);

/// `output` is the directory that extract() was asked to write.
FERRULE_API Json::Object to_json(const ExtractReport& report, const std::filesystem::path& output);

/// `output` is the directory that to_lora() was asked to write.
FERRULE_API Json::Object to_json(const ToLoraReport& report, const std::filesystem::path& output);

/// `output` is the directory that resize() was asked to write.
FERRULE_API Json::Object to_json(const ResizeReport& report, const std::filesystem::path& output);

/// The whole document: `{"version": 1, fields...}`. The version changes when a field changes its
/// meaning or is removed.
FERRULE_API Json report_document(Json::Object fields);

}  // namespace ferrule
