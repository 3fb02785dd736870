/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FERRULE_C_H
#define FERRULE_C_H

/* The C interface of Ferrule, for every language that can call C. docs/c.md has examples.
 *
 * Every function returns a status, except a few that cannot fail, and takes a ferrule_error that it
 * fills if it fails; NULL is allowed there. Nothing is thrown, nothing is printed, and the process
 * is never ended.
 *
 * Memory. Ferrule never frees what the caller made, and the caller never frees what Ferrule made.
 * What a function hands out (texts, shapes, tensor bytes) belongs to the handle it was asked of,
 * and is valid until that handle is closed. Bytes and strings that the caller passes in are only
 * read during the call, except where a comment says otherwise.
 *
 * Handles are numbers, not addresses; { 0 } is none. A handle that was closed, was never opened, or
 * is of another kind is refused with FERRULE_INVALID_ARGUMENT. What cannot be detected: memory that
 * a handle owned and that is used after the handle was closed, and closing a handle while another
 * thread uses it.
 *
 * Structs. The caller sets `struct_size` to sizeof the struct before every call, and all other
 * fields of a struct that is passed in to 0 for the default. So programs and libraries of different
 * releases work together: fields are only ever added at the end. A size that no release had is
 * refused with FERRULE_INVALID_ARGUMENT; a field that is set and that this library is too old to
 * know, with FERRULE_UNSUPPORTED. A field of a struct that is handed out and that this library is
 * too old to know is left as it was.
 *
 * Texts that are passed in are UTF-8 (paths: the bytes that the system uses) and end with a NUL, if
 * they have no size of their own. Texts that are handed out do not end with a NUL; use their size.
 *
 * Threads. Every function may be called from any thread. One handle may be used by any number of
 * threads at once, except that a ferrule_writer belongs to one thread at a time. No thread is
 * started unless an option asks for it.
 */

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FERRULE_C_API __attribute__((visibility("default")))
#else
#define FERRULE_C_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a function or a field is removed or changes its meaning; ferrule_c_abi() is that of
 * the library. */
#define FERRULE_C_ABI 1

typedef enum ferrule_status {
  FERRULE_OK = 0,
  /* The call is wrong: a null pointer, a closed handle, an index out of range. */
  FERRULE_INVALID_ARGUMENT = 1,
  /* The named file, directory, tensor or module does not exist. */
  FERRULE_NOT_FOUND = 2,
  /* The system refused; ferrule_error.system_errno says why. Trying again may help. */
  FERRULE_IO = 3,
  /* The data break a rule of their format; ferrule_error.rule names it. */
  FERRULE_CORRUPT = 4,
  /* The data use a format or feature that Ferrule does not handle. */
  FERRULE_UNSUPPORTED = 5,
  /* The data asks for more memory or time than the limits allow, or there is no memory left. */
  FERRULE_LIMIT_EXCEEDED = 6,
  /* A bug of Ferrule's; please report it. */
  FERRULE_INTERNAL = 7
} ferrule_status;

/* Bytes of UTF-8 without a NUL at the end. */
typedef struct ferrule_text {
  const char* data;
  size_t size;
} ferrule_text;

/* Why a call failed. Filled only then; all texts end with a NUL and are cut at whole characters if
 * too long. */
typedef struct ferrule_error {
  uint32_t struct_size;
  /* A ferrule_status. */
  uint32_t status;
  /* errno of the failed system call, or 0. */
  int32_t system_errno;
  uint32_t reserved;
  /* The rule that was broken, as numbered in docs/rules ("ST-7"), or "". */
  char rule[16];
  /* The file or directory it concerns, or "". */
  char path[1024];
  /* One sentence: what was expected, what was found. */
  char message[2048];
} ferrule_error;

/* ---- The library ---- */

/* FERRULE_C_ABI of the library that runs. */
FERRULE_C_API uint32_t ferrule_c_abi(void);
/* "major.minor.patch", ending with a NUL. */
FERRULE_C_API const char* ferrule_version(void);
/* "ok", "invalid_argument", "not_found", ..., "unknown" for any other number; ends with a NUL. */
FERRULE_C_API const char* ferrule_status_name(uint32_t status);

/* ---- Adapters ---- */

struct ferrule_finding;

typedef struct ferrule_adapter {
  uint64_t id;
} ferrule_adapter;

/* Read the weights into memory that nothing else can change. Without it files are mapped, and
 * touching a page that another program cut off raises SIGBUS; bytes in memory are not copied and
 * must outlive the handle. */
#define FERRULE_OPEN_COPY 1u
/* Open an adapter that has errors too, for tools that show them. Without it the first error is the
 * result. */
#define FERRULE_OPEN_ALLOW_ERRORS 2u

/* Limits are bounds on what a file may make Ferrule allocate; 0 is the default of the field. */
typedef struct ferrule_open_options {
  uint32_t struct_size;
  /* FERRULE_OPEN_... */
  uint32_t flags;
  /* Bytes of a safetensors header: 100,000,000. */
  uint64_t max_header_bytes;
  /* Tensors in one file: 4,000,000. */
  uint64_t max_tensors;
  /* Bytes of adapter_config.json and the like: 64,000,000. */
  uint64_t max_text_bytes;
  /* Bytes of tensors of a torch file that have to be rearranged: 16 GiB. */
  uint64_t max_rearranged_bytes;
  /* How many threads may read with FERRULE_OPEN_COPY, the caller's included: 1. */
  uint32_t threads;
  uint32_t reserved;
} ferrule_open_options;

/* Opens the directory of a PEFT adapter. `options` may be NULL. */
FERRULE_C_API ferrule_status ferrule_adapter_open(const char* directory,
                                                  const ferrule_open_options* options,
                                                  ferrule_adapter* adapter, ferrule_error* error);
/* The same from the bytes of adapter_config.json and of adapter_model.safetensors or
 * adapter_model.bin. */
FERRULE_C_API ferrule_status ferrule_adapter_open_memory(const char* config, size_t config_size,
                                                         const void* weights, size_t weights_size,
                                                         const ferrule_open_options* options,
                                                         ferrule_adapter* adapter,
                                                         ferrule_error* error);
FERRULE_C_API ferrule_status ferrule_adapter_close(ferrule_adapter adapter);

typedef struct ferrule_adapter_info {
  uint32_t struct_size;
  /* 1 if a finding is an error (only with FERRULE_OPEN_ALLOW_ERRORS). */
  uint32_t has_errors;
  uint64_t tensor_count;
  uint64_t module_count;
  uint64_t finding_count;
  /* Size of the weights file. */
  uint64_t file_bytes;
  /* "LORA", ... */
  ferrule_text peft_type;
  /* Where it was opened; empty if it was opened from memory. */
  ferrule_text directory;
  ferrule_text weights_file;
} ferrule_adapter_info;

FERRULE_C_API ferrule_status ferrule_adapter_describe(ferrule_adapter adapter,
                                                      ferrule_adapter_info* info,
                                                      ferrule_error* error);
/* The config as PEFT would write it: a JSON object with every field. */
FERRULE_C_API ferrule_status ferrule_adapter_config(ferrule_adapter adapter, ferrule_text* json,
                                                    ferrule_error* error);
/* Everything that was found: a JSON array of findings (docs/cli.md), errors first. */
FERRULE_C_API ferrule_status ferrule_adapter_findings(ferrule_adapter adapter, ferrule_text* json,
                                                      ferrule_error* error);
/* The finding at `index`, below finding_count; errors come first. */
FERRULE_C_API ferrule_status ferrule_adapter_finding(ferrule_adapter adapter, uint64_t index,
                                                     struct ferrule_finding* finding,
                                                     ferrule_error* error);
/* Writes 64 hexadecimal digits and a NUL: a name for what the adapter is, whatever file it is in
 * (docs/content-id.md). Reads all tensors, with up to `threads` threads; 0 is one for each core. */
FERRULE_C_API ferrule_status ferrule_adapter_content_id(ferrule_adapter adapter, uint32_t threads,
                                                        char id[65], ferrule_error* error);
/* The key under which a PEFT model with an adapter of that name holds the tensor that is called
 * `key` on disk. Writes it and a NUL into `buffer`, which has `capacity` bytes, and its size
 * without the NUL into `size`. If the buffer is too small, fails with FERRULE_LIMIT_EXCEEDED, and
 * `size` says how much is needed. Fails with FERRULE_NOT_FOUND if there is no such tensor, or if
 * the model holds it in two parts. */
FERRULE_C_API ferrule_status ferrule_adapter_live_key(ferrule_adapter adapter, const char* key,
                                                      const char* adapter_name, char* buffer,
                                                      size_t capacity, size_t* size,
                                                      ferrule_error* error);

/* ---- Tensors ---- */

/* The element types of safetensors. The numbers never change; more may be added. */
typedef enum ferrule_dtype {
  FERRULE_BOOL = 1,
  FERRULE_F4 = 2,
  FERRULE_F6_E2M3 = 3,
  FERRULE_F6_E3M2 = 4,
  FERRULE_U8 = 5,
  FERRULE_I8 = 6,
  FERRULE_F8_E5M2 = 7,
  FERRULE_F8_E4M3 = 8,
  FERRULE_F8_E8M0 = 9,
  FERRULE_F8_E4M3FNUZ = 10,
  FERRULE_F8_E5M2FNUZ = 11,
  FERRULE_I16 = 12,
  FERRULE_U16 = 13,
  FERRULE_F16 = 14,
  FERRULE_BF16 = 15,
  FERRULE_I32 = 16,
  FERRULE_U32 = 17,
  FERRULE_F32 = 18,
  FERRULE_C64 = 19,
  FERRULE_F64 = 20,
  FERRULE_I64 = 21,
  FERRULE_U64 = 22
} ferrule_dtype;

/* The name in a safetensors header ("BF16"), or NULL for a number that is not a dtype; ends with a
 * NUL. */
FERRULE_C_API const char* ferrule_dtype_name(uint32_t dtype);
/* Bits of one element, or 0 for a number that is not a dtype. */
FERRULE_C_API uint32_t ferrule_dtype_bits(uint32_t dtype);

#define FERRULE_NO_OFFSET UINT64_MAX

/* A tensor: row-major, contiguous, little-endian. */
typedef struct ferrule_tensor {
  uint32_t struct_size;
  /* A ferrule_dtype. */
  uint32_t dtype;
  /* The key in the file. */
  ferrule_text key;
  /* The method's own word for it ("lora_A"; ferrule_method_role lists them), or "modules_to_save",
   * "bias", "embedding" or "trainable_tokens"; empty if nothing explains it. */
  ferrule_text role;
  /* The rest of the key below the role ("weight", "bias"); may be empty. */
  ferrule_text leaf;
  /* Extents; `rank` of them. */
  const uint64_t* shape;
  uint64_t rank;
  /* May not be aligned for the dtype: the formats do not promise it. Do not write to it. */
  const void* data;
  /* In bytes. */
  uint64_t size;
  /* Where `data` begins in ferrule_adapter_info.weights_file, or in the bytes given to
   * ferrule_adapter_open_memory; FERRULE_NO_OFFSET for a tensor without elements, and for one that
   * a torch file does not hold contiguously. */
  uint64_t file_offset;
} ferrule_tensor;

/* The tensor at `index`, below tensor_count, in the order of the file. */
FERRULE_C_API ferrule_status ferrule_adapter_tensor(ferrule_adapter adapter, uint64_t index,
                                                    ferrule_tensor* tensor, ferrule_error* error);
/* The tensor of that key, or FERRULE_NOT_FOUND. */
FERRULE_C_API ferrule_status ferrule_adapter_find_tensor(ferrule_adapter adapter, const char* key,
                                                         ferrule_tensor* tensor,
                                                         ferrule_error* error);

/* ---- Modules ---- */

/* A module of the base model that the adapter changes. */
typedef struct ferrule_module {
  uint32_t struct_size;
  /* 1 if the method has a factor, rank or alpha outside of its tensors, else the field is 1, 0 or
   * 0. */
  uint32_t has_strength;
  uint32_t has_rank;
  uint32_t has_alpha;
  /* The factor on the update, with r, alpha, rsLoRA and patterns resolved: what PEFT calls scaling.
   */
  double strength;
  double rank;
  double alpha;
  /* The path in the base model, without "base_model.model."; empty for what belongs to the whole
   * model. */
  ferrule_text path;
  /* Where strength, rank and alpha come from, for people. */
  ferrule_text rule;
  uint64_t tensor_count;
} ferrule_module;

/* The module at `index`, below module_count, sorted by path. */
FERRULE_C_API ferrule_status ferrule_adapter_module(ferrule_adapter adapter, uint64_t index,
                                                    ferrule_module* module, ferrule_error* error);
/* Its index, or FERRULE_NOT_FOUND. */
FERRULE_C_API ferrule_status ferrule_adapter_find_module(ferrule_adapter adapter, const char* path,
                                                         uint64_t* index, ferrule_error* error);
/* The tensor at `index`, below tensor_count of the module at `module`. */
FERRULE_C_API ferrule_status ferrule_module_tensor(ferrule_adapter adapter, uint64_t module,
                                                   uint64_t index, ferrule_tensor* tensor,
                                                   ferrule_error* error);
/* The tensor of that role ("lora_A"), or FERRULE_NOT_FOUND. If a role has several, the weight; ask
 * with the leaf
 * ("lora_B.bias") for others. */
FERRULE_C_API ferrule_status ferrule_module_find_tensor(ferrule_adapter adapter, uint64_t module,
                                                        const char* role, ferrule_tensor* tensor,
                                                        ferrule_error* error);

/* A kind of tensor that a method keeps in its file. */
typedef struct ferrule_role {
  uint32_t struct_size;
  /* 1 if there is one for the whole model, not one for each module. */
  uint32_t is_of_model;
  /* As ferrule_tensor.role. Valid for the life of the process. */
  ferrule_text name;
} ferrule_role;

/* The role at `index` of a method ("LORA"). FERRULE_NOT_FOUND behind the last one, and for a method
 * that Ferrule does not know: count up from 0. */
FERRULE_C_API ferrule_status ferrule_method_role(const char* peft_type, uint64_t index,
                                                 ferrule_role* role, ferrule_error* error);

/* ---- Reports ---- */

typedef struct ferrule_report {
  uint64_t id;
} ferrule_report;

typedef enum ferrule_severity {
  FERRULE_ERROR = 0,
  FERRULE_WARNING = 1,
  FERRULE_NOTE = 2
} ferrule_severity;

typedef struct ferrule_report_info {
  uint32_t struct_size;
  /* 1 if nothing is wrong: no error, and everything could be read. */
  uint32_t good;
  uint64_t finding_count;
  /* "ok", "warn", "bad" or "unknown" of a check; "good" or "bad" of others. */
  ferrule_text verdict;
  /* Of a check: modules that the base has in the right shape, and all modules. 0 of others. */
  uint64_t matched;
  uint64_t total;
} ferrule_report_info;

/* One result of a check. */
typedef struct ferrule_finding {
  uint32_t struct_size;
  /* A ferrule_severity. */
  uint32_t severity;
  /* As numbered in docs/rules ("AD-3"). */
  ferrule_text rule;
  ferrule_text path;
  /* The tensor, config field or module it concerns; may be empty. */
  ferrule_text key;
  ferrule_text message;
  /* What to do about it; may be empty. */
  ferrule_text advice;
} ferrule_finding;

FERRULE_C_API ferrule_status ferrule_report_describe(ferrule_report report,
                                                     ferrule_report_info* info,
                                                     ferrule_error* error);
/* A JSON object: the fields of one path in `ferrule verify --json` or `ferrule check --json`, or
 * those of `ferrule save --json` (docs/cli.md). */
FERRULE_C_API ferrule_status ferrule_report_json(ferrule_report report, ferrule_text* json,
                                                 ferrule_error* error);
/* The finding at `index`, below finding_count; errors come first. */
FERRULE_C_API ferrule_status ferrule_report_finding(ferrule_report report, uint64_t index,
                                                    ferrule_finding* finding, ferrule_error* error);
FERRULE_C_API ferrule_status ferrule_report_close(ferrule_report report);

typedef struct ferrule_verify_options {
  uint32_t struct_size;
  /* 1 to read every value too: NaN, Inf, an update of zeros. */
  uint32_t values;
  /* The content id that the adapter must have, or NULL. */
  const char* id;
  /* How many threads may work at once, the caller's included: 1. They divide the adapters of a
   * folder. */
  uint32_t threads;
  uint32_t reserved;
  ferrule_open_options open;
} ferrule_verify_options;

/* Verifies an adapter's directory, a folder of them, or a file. What is wrong is in the report, not
 * in the status. `options` may be NULL; of options->open, 0 as struct_size means the defaults. */
FERRULE_C_API ferrule_status ferrule_verify(const char* path, const ferrule_verify_options* options,
                                            ferrule_report* report, ferrule_error* error);

/* ---- Base models ---- */

/* A base model as its headers show it. Opened once, it serves any number of checks. */
typedef struct ferrule_base {
  uint64_t id;
} ferrule_base;

/* A directory with weights and config.json, an index, a file of tensors, or a config.json.
 * `options` may be NULL. */
FERRULE_C_API ferrule_status ferrule_base_open(const char* path,
                                               const ferrule_open_options* options,
                                               ferrule_base* base, ferrule_error* error);
FERRULE_C_API ferrule_status ferrule_base_close(ferrule_base base);

typedef struct ferrule_base_info {
  uint32_t struct_size;
  /* 0 if only a config.json was given. */
  uint32_t has_tensors;
  uint64_t tensor_count;
  /* The class that the config names first, or empty. */
  ferrule_text class_name;
  /* SHA-256 of the sorted names and shapes, 64 hexadecimal digits; empty without tensors. */
  ferrule_text fingerprint;
} ferrule_base_info;

FERRULE_C_API ferrule_status ferrule_base_describe(ferrule_base base, ferrule_base_info* info,
                                                   ferrule_error* error);

typedef struct ferrule_check_options {
  uint32_t struct_size;
  /* 1 to read values too: NaN, Inf, B of zeros. */
  uint32_t values;
  /* 1 if modules that the base does not have are only warnings, as long as it has one of them. */
  uint32_t allow_partial;
  uint32_t reserved;
  /* Engines that will serve it ("vllm"), separated by commas, or NULL. */
  const char* engines;
} ferrule_check_options;

/* Whether every module of the adapter would find its place in the base. What is wrong is in the
 * report, not in the status. `options` may be NULL. */
FERRULE_C_API ferrule_status ferrule_check(ferrule_adapter adapter, ferrule_base base,
                                           const ferrule_check_options* options,
                                           ferrule_report* report, ferrule_error* error);

/* ---- Saving ---- */

/* Gathers the tensors and configs of adapters, then saves them. */
typedef struct ferrule_writer {
  uint64_t id;
} ferrule_writer;

FERRULE_C_API ferrule_status ferrule_writer_open(ferrule_writer* writer, ferrule_error* error);
FERRULE_C_API ferrule_status ferrule_writer_close(ferrule_writer writer);
/* Adds a tensor of the live model's state dict, as in
 * `base_model.model.q_proj.lora_A.default.weight`. Name and shape are copied; `size` must be
 * exactly what dtype and shape need. The bytes are not copied: they must stay as they are until the
 * writer is closed. */
FERRULE_C_API ferrule_status ferrule_writer_add_tensor(ferrule_writer writer, const char* name,
                                                       uint32_t dtype, const uint64_t* shape,
                                                       uint64_t rank, const void* data,
                                                       uint64_t size, ferrule_error* error);
/* Adds an adapter by its name in the state dict ("default") and the text of its
 * adapter_config.json. */
FERRULE_C_API ferrule_status ferrule_writer_add_adapter(ferrule_writer writer, const char* name,
                                                        const char* config, size_t config_size,
                                                        ferrule_error* error);

/* Nothing is flushed, for scratch space. Without a flag, after a loss of power the old or the new
 * adapter is there. */
#define FERRULE_SAVE_FAST 1u
/* The new one is on the disk when the call returns. */
#define FERRULE_SAVE_FULL 2u
/* adapter_model.bin in place of adapter_model.safetensors. */
#define FERRULE_SAVE_BIN 4u
/* No README.md. */
#define FERRULE_SAVE_NO_CARD 8u

typedef struct ferrule_save_options {
  uint32_t struct_size;
  /* FERRULE_SAVE_... */
  uint32_t flags;
  /* A ferrule_dtype to convert floating-point tensors to (FERRULE_F32, FERRULE_F16 or
   * FERRULE_BF16), or 0. */
  uint32_t dtype;
  /* How many threads may work at once, the caller's included: 1. */
  uint32_t threads;
} ferrule_save_options;

/* Saves all adapters as PEFT's save_pretrained does: the one called "default" into `directory`,
 * every other one into `directory`/NAME, together or not at all. `options` and `report` may be
 * NULL. */
FERRULE_C_API ferrule_status ferrule_writer_save(ferrule_writer writer, const char* directory,
                                                 const ferrule_save_options* options,
                                                 ferrule_report* report, ferrule_error* error);

/* ---- Published adapters ---- */

/* Follows the current generation of a root that `ferrule publish` fills. */
typedef struct ferrule_published {
  uint64_t id;
} ferrule_published;

/* FERRULE_NOT_FOUND if nothing was published in `root` yet. */
FERRULE_C_API ferrule_status ferrule_published_open(const char* root, ferrule_published* published,
                                                    ferrule_error* error);
FERRULE_C_API ferrule_status ferrule_published_close(ferrule_published published);
/* 1 if something was published since the last ferrule_published_current, or since it was opened;
 * else 0, for a handle that is not open, too. Reads a number in mapped memory and makes no system
 * call: a server can ask for every request. Where several machines mount the root, mapped memory
 * may be behind: ask ferrule_published_current there. */
FERRULE_C_API uint32_t ferrule_published_changed(ferrule_published published);
/* The number of the current generation, and the path of its folder with a NUL in `buffer`, as in
 * ferrule_adapter_live_key. The folder is whole and never changes; it stays until
 * `ferrule publish --keep` removes it. Open it with ferrule_adapter_open. */
FERRULE_C_API ferrule_status ferrule_published_current(ferrule_published published,
                                                       uint64_t* generation, char* buffer,
                                                       size_t capacity, size_t* size,
                                                       ferrule_error* error);

#ifdef __cplusplus
}
#endif

#endif /* FERRULE_C_H */
