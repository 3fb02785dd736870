// SPDX-License-Identifier: Apache-2.0
#include "format/pickle/pickle_globals.hpp"

namespace ferrule::format {
namespace {

struct GlobalRow {
  std::string_view module;
  std::string_view name;
  GlobalFacts facts;
};

constexpr GlobalFacts storage(Dtype dtype) { return {.id = GlobalId::kStorage, .dtype = dtype}; }
constexpr GlobalFacts dtype(Dtype value) { return {.id = GlobalId::kDtype, .dtype = value}; }
constexpr GlobalFacts refused_tensor(std::string_view what) {
  return {.id = GlobalId::kRefusedTensor, .what = what};
}
constexpr GlobalFacts refused_dtype(std::string_view what) {
  return {.id = GlobalId::kRefusedDtype, .what = what};
}
constexpr GlobalFacts plain(GlobalId id) { return {.id = id}; }

constexpr std::string_view kQuantized = "a quantised tensor";
constexpr std::string_view kSparse = "a sparse tensor";
constexpr std::string_view kSubclass = "a tensor subclass or a tensor with Python attributes";
constexpr std::string_view kComplex128 = "complex128, which safetensors does not have";
constexpr std::string_view kComplex32 = "complex32, which safetensors does not have";
constexpr std::string_view kBits = "a type of bare bits";
constexpr std::string_view kSubByte = "an integer of fewer than eight bits";

constexpr GlobalRow kAllowed[] = {
    {"collections", "OrderedDict", plain(GlobalId::kOrderedDict)},
    {"torch._utils", "_rebuild_tensor", plain(GlobalId::kRebuildTensor)},
    {"torch._utils", "_rebuild_tensor_v2", plain(GlobalId::kRebuildTensorV2)},
    {"torch._utils", "_rebuild_tensor_v3", plain(GlobalId::kRebuildTensorV3)},
    {"torch._utils", "_rebuild_parameter", plain(GlobalId::kRebuildParameter)},
    {"torch._utils", "_rebuild_parameter_with_state", plain(GlobalId::kRebuildParameterWithState)},
    {"torch", "Size", plain(GlobalId::kSize)},
    {"torch", "device", plain(GlobalId::kInert)},
    {"builtins", "set", plain(GlobalId::kSet)},
    {"__builtin__", "set", plain(GlobalId::kSet)},
    {"builtins", "bytearray", plain(GlobalId::kInert)},
    {"__builtin__", "bytearray", plain(GlobalId::kInert)},
    {"builtins", "complex", plain(GlobalId::kInert)},
    {"__builtin__", "complex", plain(GlobalId::kInert)},
    {"_codecs", "encode", plain(GlobalId::kInert)},
    {"torch.serialization", "_get_layout", plain(GlobalId::kInert)},
    {"torch", "DoubleStorage", storage(Dtype::kF64)},
    {"torch", "FloatStorage", storage(Dtype::kF32)},
    {"torch", "HalfStorage", storage(Dtype::kF16)},
    {"torch", "BFloat16Storage", storage(Dtype::kBF16)},
    {"torch", "LongStorage", storage(Dtype::kI64)},
    {"torch", "IntStorage", storage(Dtype::kI32)},
    {"torch", "ShortStorage", storage(Dtype::kI16)},
    {"torch", "CharStorage", storage(Dtype::kI8)},
    {"torch", "ByteStorage", storage(Dtype::kU8)},
    {"torch", "BoolStorage", storage(Dtype::kBool)},
    {"torch", "ComplexFloatStorage", storage(Dtype::kC64)},
    {"torch.cuda", "DoubleStorage", storage(Dtype::kF64)},
    {"torch.cuda", "FloatStorage", storage(Dtype::kF32)},
    {"torch.cuda", "HalfStorage", storage(Dtype::kF16)},
    {"torch.cuda", "BFloat16Storage", storage(Dtype::kBF16)},
    {"torch.cuda", "LongStorage", storage(Dtype::kI64)},
    {"torch.cuda", "IntStorage", storage(Dtype::kI32)},
    {"torch.cuda", "ShortStorage", storage(Dtype::kI16)},
    {"torch.cuda", "CharStorage", storage(Dtype::kI8)},
    {"torch.cuda", "ByteStorage", storage(Dtype::kU8)},
    {"torch.cuda", "BoolStorage", storage(Dtype::kBool)},
    {"torch.cuda", "ComplexFloatStorage", storage(Dtype::kC64)},
    {"torch", "ComplexDoubleStorage", refused_dtype(kComplex128)},
    {"torch", "QInt8Storage", refused_dtype(kQuantized)},
    {"torch", "QInt32Storage", refused_dtype(kQuantized)},
    {"torch", "QUInt8Storage", refused_dtype(kQuantized)},
    {"torch", "QUInt4x2Storage", refused_dtype(kQuantized)},
    {"torch", "QUInt2x4Storage", refused_dtype(kQuantized)},
    {"torch.storage", "UntypedStorage", plain(GlobalId::kUntypedStorage)},
    {"torch", "UntypedStorage", plain(GlobalId::kUntypedStorage)},
    {"torch", "float64", dtype(Dtype::kF64)},
    {"torch", "float32", dtype(Dtype::kF32)},
    {"torch", "float16", dtype(Dtype::kF16)},
    {"torch", "bfloat16", dtype(Dtype::kBF16)},
    {"torch", "int64", dtype(Dtype::kI64)},
    {"torch", "int32", dtype(Dtype::kI32)},
    {"torch", "int16", dtype(Dtype::kI16)},
    {"torch", "int8", dtype(Dtype::kI8)},
    {"torch", "uint64", dtype(Dtype::kU64)},
    {"torch", "uint32", dtype(Dtype::kU32)},
    {"torch", "uint16", dtype(Dtype::kU16)},
    {"torch", "uint8", dtype(Dtype::kU8)},
    {"torch", "bool", dtype(Dtype::kBool)},
    {"torch", "complex64", dtype(Dtype::kC64)},
    {"torch", "float8_e4m3fn", dtype(Dtype::kF8E4M3)},
    {"torch", "float8_e5m2", dtype(Dtype::kF8E5M2)},
    {"torch", "float8_e4m3fnuz", dtype(Dtype::kF8E4M3FNUZ)},
    {"torch", "float8_e5m2fnuz", dtype(Dtype::kF8E5M2FNUZ)},
    {"torch", "float8_e8m0fnu", dtype(Dtype::kF8E8M0)},
    {"torch", "float4_e2m1fn_x2", dtype(Dtype::kF4)},
    {"torch", "complex128", refused_dtype(kComplex128)},
    {"torch", "complex32", refused_dtype(kComplex32)},
    {"torch", "bits8", refused_dtype(kBits)},
    {"torch", "bits16", refused_dtype(kBits)},
    {"torch", "bits1x8", refused_dtype(kBits)},
    {"torch", "bits2x4", refused_dtype(kBits)},
    {"torch", "bits4x2", refused_dtype(kBits)},
    {"torch", "int1", refused_dtype(kSubByte)},
    {"torch", "int2", refused_dtype(kSubByte)},
    {"torch", "int4", refused_dtype(kSubByte)},
    {"torch", "uint1", refused_dtype(kSubByte)},
    {"torch", "uint2", refused_dtype(kSubByte)},
    {"torch", "uint4", refused_dtype(kSubByte)},
    {"torch", "qint8", refused_dtype(kQuantized)},
    {"torch", "quint8", refused_dtype(kQuantized)},
    {"torch", "qint32", refused_dtype(kQuantized)},
    {"torch", "per_tensor_affine", plain(GlobalId::kInert)},
    {"torch", "per_tensor_symmetric", plain(GlobalId::kInert)},
    {"torch", "per_channel_affine", plain(GlobalId::kInert)},
    {"torch", "per_channel_symmetric", plain(GlobalId::kInert)},
    {"torch", "per_channel_affine_float_qparams", plain(GlobalId::kInert)},
    {"torch", "Tensor", refused_tensor(kSubclass)},
    {"torch.nn.parameter", "Parameter", refused_tensor(kSubclass)},
    {"torch._tensor", "_rebuild_from_type_v2", refused_tensor(kSubclass)},
    {"torch._utils", "_rebuild_qtensor", refused_tensor(kQuantized)},
    {"torch._utils", "_rebuild_sparse_tensor", refused_tensor(kSparse)},
    {"torch._utils", "_rebuild_sparse_csr_tensor", refused_tensor(kSparse)},
    {"torch._utils", "_rebuild_meta_tensor_no_storage",
     refused_tensor("a meta tensor, which has no data")},
    {"torch._utils", "_rebuild_nested_tensor", refused_tensor("a nested tensor")},
    {"torch._utils", "_rebuild_wrapper_subclass", refused_tensor(kSubclass)},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor",
     refused_tensor("a tensor of a device without storages (XLA, MAIA, MTIA)")},
};

struct Notorious {
  std::string_view module;
  std::string_view name;  ///< Empty: the whole module and everything below it.
  std::string_view why;
};

constexpr std::string_view kShell = "runs commands";
constexpr std::string_view kCode = "runs Python code";
constexpr std::string_view kNet = "opens network connections";
constexpr std::string_view kFiles = "reads or writes files";
constexpr std::string_view kNative = "calls native code";
constexpr std::string_view kIndirect = "reaches any other function by its name";

constexpr Notorious kNotorious[] = {
    {"os", "", kShell},
    {"posix", "", kShell},
    {"nt", "", kShell},
    {"subprocess", "", kShell},
    {"pty", "", kShell},
    {"commands", "", kShell},
    {"popen2", "", kShell},
    {"asyncio", "", kShell},
    {"multiprocessing", "", kShell},
    {"webbrowser", "", kShell},
    {"distutils", "", kShell},
    {"setuptools", "", kShell},
    {"pip", "", kShell},
    {"venv", "", kShell},
    {"ensurepip", "", kShell},
    {"builtins", "eval", kCode},
    {"builtins", "exec", kCode},
    {"builtins", "execfile", kCode},
    {"builtins", "compile", kCode},
    {"builtins", "open", kFiles},
    {"builtins", "__import__", kCode},
    {"builtins", "", kIndirect},
    {"__builtin__", "", kIndirect},
    {"runpy", "", kCode},
    {"code", "", kCode},
    {"codeop", "", kCode},
    {"bdb", "", kCode},
    {"pdb", "", kCode},
    {"doctest", "", kCode},
    {"timeit", "", kCode},
    {"trace", "", kCode},
    {"profile", "", kCode},
    {"cProfile", "", kCode},
    {"idlelib", "", kCode},
    {"lib2to3", "", kCode},
    {"importlib", "", kCode},
    {"imp", "", kCode},
    {"zipimport", "", kCode},
    {"pkgutil", "", kIndirect},
    {"pydoc", "", kIndirect},
    {"operator", "", kIndirect},
    {"functools", "", kIndirect},
    {"types", "", kCode},
    {"marshal", "", kCode},
    {"pickle", "", kCode},
    {"_pickle", "", kCode},
    {"cloudpickle", "", kCode},
    {"dill", "", kCode},
    {"joblib", "", kCode},
    {"logging.config", "", kIndirect},
    {"site", "", kCode},
    {"sys", "", kIndirect},
    {"ctypes", "", kNative},
    {"_ctypes", "", kNative},
    {"cffi", "", kNative},
    {"socket", "", kNet},
    {"_socket", "", kNet},
    {"ssl", "", kNet},
    {"http", "", kNet},
    {"httplib", "", kNet},
    {"urllib", "", kNet},
    {"urllib2", "", kNet},
    {"requests", "", kNet},
    {"aiohttp", "", kNet},
    {"ftplib", "", kNet},
    {"smtplib", "", kNet},
    {"telnetlib", "", kNet},
    {"shutil", "", kFiles},
    {"tempfile", "", kFiles},
    {"io", "", kFiles},
    {"pathlib", "", kFiles},
    {"linecache", "", kFiles},
    {"numpy.testing", "", kCode},
    {"numpy.f2py", "", kCode},
    {"numpy", "load", kCode},
    {"torch", "load", kCode},
    {"torch.serialization", "load", kCode},
    {"torch.hub", "", kCode},
    {"torch.jit", "", kCode},
    {"torch._inductor", "", kCode},
    {"torch._dynamo", "", kCode},
    {"torch.fx", "", kCode},
    {"torch.utils", "", kCode},
};

struct Known {
  std::string_view module;
  std::string_view name;
};

/// What transformers' Trainer writes next to a checkpoint: training_args.bin (enumerations and
/// dataclasses, transformers 4.40 to 5.24 with accelerate) and rng_state.pth (numpy 1 and 2).
constexpr Known kTrainingState[] = {
    {"numpy", "dtype"},
    {"numpy", "ndarray"},
    {"numpy.core.multiarray", "_reconstruct"},
    {"numpy._core.multiarray", "_reconstruct"},
    {"numpy.core.multiarray", "scalar"},
    {"numpy._core.multiarray", "scalar"},
    {"collections", "deque"},
    {"collections", "defaultdict"},
    {"datetime", "timedelta"},
    {"accelerate.state", "PartialState"},
    {"accelerate.utils.dataclasses", "DistributedType"},
    {"accelerate.utils.dataclasses", "DynamoBackend"},
    {"transformers.trainer_pt_utils", "AcceleratorConfig"},
    {"transformers.trainer_utils", "EvaluationStrategy"},
    {"transformers.trainer_utils", "FSDPOption"},
    {"transformers.trainer_utils", "HubStrategy"},
    {"transformers.trainer_utils", "IntervalStrategy"},
    {"transformers.trainer_utils", "SaveStrategy"},
    {"transformers.trainer_utils", "SchedulerType"},
    {"transformers.training_args", "OptimizerNames"},
    {"transformers.training_args", "ParallelMode"},
    {"transformers.training_args", "TrainingArguments"},
    {"transformers.training_args_seq2seq", "Seq2SeqTrainingArguments"},
    {"trl.trainer.sft_config", "SFTConfig"},
    {"trl.trainer.dpo_config", "DPOConfig"},
    {"trl.trainer.dpo_config", "FDivergenceType"},
    {"trl.trainer.grpo_config", "GRPOConfig"},
    {"trl.trainer.kto_config", "KTOConfig"},
    {"trl.trainer.orpo_config", "ORPOConfig"},
    {"trl.trainer.reward_config", "RewardConfig"},
};

bool module_matches(std::string_view module, std::string_view listed) noexcept {
  return module == listed || (module.size() > listed.size() && module.starts_with(listed) &&
                              module[listed.size()] == '.');
}

}  // namespace

std::optional<GlobalFacts> find_global(std::string_view module, std::string_view name) noexcept {
  for (const auto& row : kAllowed) {
    if (row.name == name && row.module == module) return row.facts;
  }
  return std::nullopt;
}

GlobalThreat threat_of(std::string_view module, std::string_view name) noexcept {
  if (!notorious_global(module, name).empty()) return GlobalThreat::kDangerous;
  for (const auto& known : kTrainingState) {
    if (known.module == module && known.name == name) return GlobalThreat::kTrainingState;
  }
  return GlobalThreat::kUnknown;
}

std::string_view notorious_global(std::string_view module, std::string_view name) noexcept {
  for (const auto& row : kNotorious) {
    if (module_matches(module, row.module) && (row.name.empty() || row.name == name)) {
      return row.why;
    }
  }
  return {};
}

}  // namespace ferrule::format
