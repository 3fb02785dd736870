// SPDX-License-Identifier: Apache-2.0
#include "merge/methods/methods.hpp"

namespace ferrule::merging {
namespace {

constexpr MergeableMethod kMethods[] = {
    {"ADALORA", plan_adalora},
    {"ADAMSS", plan_adamss},
    {"BEFT", plan_beft},
    {"BOFT", plan_boft},
    {"C3A", plan_c3a},
    {"DEFT", plan_deft},
    {"DELORA", plan_delora},
    {"FOURIERFT", plan_fourierft},
    {"FROD", plan_frod},
    {"GLORA", plan_glora},
    {"GRALORA", plan_gralora},
    {"HIRA", plan_hira},
    {"HRA", plan_hra},
    {"IA3", plan_ia3},
    {"LN_TUNING", plan_ln_tuning},
    {"LOHA", plan_loha},
    {"LOKR", plan_lokr},
    {"LORA", plan_lora},
    {"MISS", plan_miss},
    {"OFT", plan_oft},
    {"OSF", plan_osf},
    {"PEANUT", plan_peanut},
    {"PSOFT", plan_psoft},
    {"PVERA", plan_pvera},
    {"RANDLORA", plan_randlora},
    {"ROAD", plan_road},
    {"SHIRA", plan_shira},
    {"SUPERTUNING", plan_supertuning},
    {"TINYLORA", plan_tinylora},
    {"UNILORA", plan_unilora},
    {"VBLORA", plan_vblora},
    {"VERA", plan_vera},
    {"WAVEFT", plan_waveft},
};

}  // namespace

std::span<const MergeableMethod> mergeable_methods() noexcept { return kMethods; }

}  // namespace ferrule::merging
