/* SPDX-License-Identifier: Apache-2.0 */
#include <ferrule/c.h>
#include <stdio.h>

int main(void) {
  ferrule_role role = {.struct_size = sizeof role};
  if (ferrule_method_role("LORA", 0, &role, NULL) != FERRULE_OK || role.name.size == 0) return 1;
  printf("LORA, ferrule %s\n", ferrule_version());
  return 0;
}
