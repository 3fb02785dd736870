/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what an engine needs of an adapter, and whether a base has all its modules.
 *
 *   cc -std=c99 read_adapter.c -lferrule_c -o read_adapter
 *   ./read_adapter my-adapter [base-model]
 */
#include <ferrule/c.h>
#include <inttypes.h>
#include <stdio.h>

static int fail(const ferrule_error* error) {
  fprintf(stderr, "%s: [%s] %s\n", error->path, error->rule, error->message);
  return error->status == FERRULE_IO || error->status == FERRULE_NOT_FOUND ? 3 : 1;
}

/* Texts that Ferrule hands out do not end with a NUL. */
static void print_text(ferrule_text text) { fwrite(text.data, 1, text.size, stdout); }

static ferrule_status print_module(ferrule_adapter adapter, uint64_t index, ferrule_error* error) {
  ferrule_module module = {.struct_size = sizeof module};
  ferrule_status status = ferrule_adapter_module(adapter, index, &module, error);
  for (uint64_t i = 0; status == FERRULE_OK && i < module.tensor_count; ++i) {
    ferrule_tensor tensor = {.struct_size = sizeof tensor};
    status = ferrule_module_tensor(adapter, index, i, &tensor, error);
    if (status != FERRULE_OK) break;
    print_text(module.path);
    printf(" ");
    print_text(tensor.role);
    printf(" ");
    print_text(tensor.key);
    printf(" %s [", ferrule_dtype_name(tensor.dtype));
    for (uint64_t d = 0; d < tensor.rank; ++d)
      printf("%s%" PRIu64, d == 0 ? "" : ",", tensor.shape[d]);
    printf("] at %" PRIu64 "+%" PRIu64 " times %.9g\n", tensor.file_offset, tensor.size,
           module.strength);
  }
  return status;
}

static ferrule_status print_check(ferrule_adapter adapter, const char* path, ferrule_error* error) {
  ferrule_base base = {0};
  ferrule_report report = {0};
  ferrule_status status = ferrule_base_open(path, NULL, &base, error);
  if (status == FERRULE_OK) status = ferrule_check(adapter, base, NULL, &report, error);
  ferrule_report_info info = {.struct_size = sizeof info};
  if (status == FERRULE_OK) status = ferrule_report_describe(report, &info, error);
  if (status == FERRULE_OK) {
    print_text(info.verdict);
    printf(": %" PRIu64 " of %" PRIu64 " modules\n", info.matched, info.total);
  }
  ferrule_report_close(report);
  ferrule_base_close(base);
  return status;
}

int main(int argc, char** argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s ADAPTER [BASE]\n", argv[0]);
    return 2;
  }
  ferrule_error error = {.struct_size = sizeof error};
  ferrule_adapter adapter = {0};
  if (ferrule_adapter_open(argv[1], NULL, &adapter, &error) != FERRULE_OK) return fail(&error);

  ferrule_adapter_info info = {.struct_size = sizeof info};
  ferrule_status status = ferrule_adapter_describe(adapter, &info, &error);
  if (status == FERRULE_OK) {
    print_text(info.peft_type);
    printf(": %" PRIu64 " tensors\n", info.tensor_count);
  }
  for (uint64_t i = 0; status == FERRULE_OK && i < info.module_count; ++i)
    status = print_module(adapter, i, &error);
  if (status == FERRULE_OK && argc > 2) status = print_check(adapter, argv[2], &error);
  ferrule_adapter_close(adapter);
  return status == FERRULE_OK ? 0 : fail(&error);
}
