// SPDX-License-Identifier: Apache-2.0
//! Prints what an engine needs of an adapter, through the C interface.
//!
//!     bindgen ferrule/c.h --allowlist-function 'ferrule_.*' --no-layout-tests -o ferrule_c.rs
//!     rustc read_adapter.rs -L build/release/capi -l ferrule_c
//!     ./read_adapter my-adapter
use std::ffi::{CStr, CString};
use std::mem::{size_of, zeroed};

#[allow(non_camel_case_types, non_upper_case_globals, dead_code)]
mod c {
    include!("ferrule_c.rs");
}

/// A struct that says which release it is of.
macro_rules! sized {
    ($name:ident) => {{
        let mut value: c::$name = unsafe { zeroed() };
        value.struct_size = size_of::<c::$name>() as u32;
        value
    }};
}

/// An opened adapter. What it hands out lives as long as it does.
struct Adapter(c::ferrule_adapter);

impl Adapter {
    fn open(path: &str) -> Result<Adapter, String> {
        let path = CString::new(path).map_err(|e| e.to_string())?;
        let mut handle = c::ferrule_adapter { id: 0 };
        check(|error| unsafe { c::ferrule_adapter_open(path.as_ptr(), std::ptr::null(), &mut handle, error) })?;
        Ok(Adapter(handle))
    }

    fn info(&self) -> Result<c::ferrule_adapter_info, String> {
        let mut info = sized!(ferrule_adapter_info);
        check(|error| unsafe { c::ferrule_adapter_describe(self.0, &mut info, error) })?;
        Ok(info)
    }

    fn module(&self, index: u64) -> Result<c::ferrule_module, String> {
        let mut module = sized!(ferrule_module);
        check(|error| unsafe { c::ferrule_adapter_module(self.0, index, &mut module, error) })?;
        Ok(module)
    }

    fn tensor(&self, module: u64, index: u64) -> Result<c::ferrule_tensor, String> {
        let mut tensor = sized!(ferrule_tensor);
        check(|error| unsafe { c::ferrule_module_tensor(self.0, module, index, &mut tensor, error) })?;
        Ok(tensor)
    }

    fn text(&self, text: c::ferrule_text) -> &str {
        if text.size == 0 {
            return "";
        }
        let bytes = unsafe { std::slice::from_raw_parts(text.data as *const u8, text.size as usize) };
        std::str::from_utf8(bytes).unwrap_or("?")
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        unsafe { c::ferrule_adapter_close(self.0) };
    }
}

fn check(call: impl FnOnce(*mut c::ferrule_error) -> c::ferrule_status) -> Result<(), String> {
    let mut error = sized!(ferrule_error);
    if call(&mut error) == c::ferrule_status_FERRULE_OK {
        return Ok(());
    }
    let text = |bytes: &[std::os::raw::c_char]| unsafe { CStr::from_ptr(bytes.as_ptr()) }.to_string_lossy().into_owned();
    Err(format!("{}: [{}] {}", text(&error.path), text(&error.rule), text(&error.message)))
}

fn run(path: &str) -> Result<(), String> {
    let adapter = Adapter::open(path)?;
    let info = adapter.info()?;
    println!("{}: {} tensors", adapter.text(info.peft_type), info.tensor_count);
    for m in 0..info.module_count {
        let module = adapter.module(m)?;
        for t in 0..module.tensor_count {
            let tensor = adapter.tensor(m, t)?;
            let shape: Vec<String> = (0..tensor.rank as usize).map(|d| unsafe { *tensor.shape.add(d) }.to_string()).collect();
            let dtype = unsafe { CStr::from_ptr(c::ferrule_dtype_name(tensor.dtype)) }.to_string_lossy();
            println!(
                "{} {} {} {} [{}] at {}+{} times {}",
                adapter.text(module.path),
                adapter.text(tensor.role),
                adapter.text(tensor.key),
                dtype,
                shape.join(","),
                tensor.file_offset,
                tensor.size,
                module.strength as f32
            );
        }
    }
    Ok(())
}

fn main() {
    let path = std::env::args().nth(1).expect("usage: read_adapter ADAPTER");
    if let Err(message) = run(&path) {
        eprintln!("{message}");
        std::process::exit(1);
    }
}
