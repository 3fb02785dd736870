// SPDX-License-Identifier: Apache-2.0
// Prints what an engine needs of an adapter, through the C interface and koffi.
//
//   npm install koffi
//   FERRULE_C=build/release/capi/libferrule_c.so node read_adapter.mjs my-adapter
import koffi from 'koffi';

const library = koffi.load(process.env.FERRULE_C ?? 'libferrule_c.so.1');

const Handle = koffi.struct('Handle', { id: 'uint64' });
// Texts do not end with a NUL: an address and a size.
const Text = koffi.struct('Text', { data: 'void *', size: 'size_t' });
const Failure = koffi.struct('Failure', {
  struct_size: 'uint32', status: 'uint32', system_errno: 'int32', reserved: 'uint32',
  rule: koffi.array('char', 16), path: koffi.array('char', 1024), message: koffi.array('char', 2048),
});
const AdapterInfo = koffi.struct('AdapterInfo', {
  struct_size: 'uint32', has_errors: 'uint32', tensor_count: 'uint64', module_count: 'uint64', finding_count: 'uint64',
  file_bytes: 'uint64', peft_type: Text, directory: Text, weights_file: Text,
});
const Module = koffi.struct('Module', {
  struct_size: 'uint32', has_strength: 'uint32', has_rank: 'uint32', has_alpha: 'uint32',
  strength: 'double', rank: 'double', alpha: 'double', path: Text, rule: Text, tensor_count: 'uint64',
});
const Tensor = koffi.struct('Tensor', {
  struct_size: 'uint32', dtype: 'uint32', key: Text, role: Text, leaf: Text,
  shape: 'void *', rank: 'uint64', data: 'void *', size: 'uint64', file_offset: 'uint64',
});

const open = library.func('int ferrule_adapter_open(const char *, void *, _Out_ Handle *, _Inout_ Failure *)');
const describe = library.func('int ferrule_adapter_describe(Handle, _Inout_ AdapterInfo *, _Inout_ Failure *)');
const moduleAt = library.func('int ferrule_adapter_module(Handle, uint64, _Inout_ Module *, _Inout_ Failure *)');
const tensorAt = library.func('int ferrule_module_tensor(Handle, uint64, uint64, _Inout_ Tensor *, _Inout_ Failure *)');
const dtypeName = library.func('const char *ferrule_dtype_name(uint32)');
const closeAdapter = library.func('int ferrule_adapter_close(Handle)');

const text = ({ data, size }) => (size ? koffi.decode(data, 'char', Number(size)) : '');
const noText = { data: null, size: 0 };

// Every struct says which release it is of.
function call(run, type, blank) {
  const error = { struct_size: koffi.sizeof(Failure), status: 0, system_errno: 0, reserved: 0, rule: '', path: '', message: '' };
  const out = { ...blank, struct_size: type ? koffi.sizeof(type) : undefined };
  if (run(out, error) !== 0) throw new Error(`${error.path}: [${error.rule}] ${error.message}`);
  return out;
}

const adapter = call((out, error) => open(process.argv[2], null, out, error), null, { id: 0 });
const info = call((out, error) => describe(adapter, out, error), AdapterInfo,
  { has_errors: 0, tensor_count: 0, module_count: 0, finding_count: 0, file_bytes: 0, peft_type: noText, directory: noText, weights_file: noText });
console.log(`${text(info.peft_type)}: ${info.tensor_count} tensors`);
for (let m = 0; m < info.module_count; ++m) {
  const module = call((out, error) => moduleAt(adapter, m, out, error), Module,
    { has_strength: 0, has_rank: 0, has_alpha: 0, strength: 0, rank: 0, alpha: 0, path: noText, rule: noText, tensor_count: 0 });
  for (let t = 0; t < module.tensor_count; ++t) {
    const tensor = call((out, error) => tensorAt(adapter, m, t, out, error), Tensor,
      { dtype: 0, key: noText, role: noText, leaf: noText, shape: null, rank: 0, data: null, size: 0, file_offset: 0 });
    const shape = tensor.rank ? koffi.decode(tensor.shape, 'uint64', Number(tensor.rank)) : [];
    console.log(`${text(module.path)} ${text(tensor.role)} ${text(tensor.key)} ${dtypeName(tensor.dtype)} ` +
      `[${[...shape].join(',')}] at ${tensor.file_offset}+${tensor.size} times ${Number(module.strength.toPrecision(9))}`);
  }
}
closeAdapter(adapter);
