//! A check for NVIDIA's driver, card and run-time compiler, with an error where burn would panic.

#![allow(unsafe_code)] // The driver is looked up at run time.

use std::path::{Path, PathBuf};

use libloading::{Library, Symbol};

use crate::error::{Error, Result};

/// Names under which the driver and the run-time compiler are installed.
const DRIVER: [&str; 3] = ["libcuda.so.1", "libcuda.so", "nvcuda.dll"];
const COMPILER: [&str; 6] = [
    "libnvrtc.so",
    "libnvrtc.so.13",
    "libnvrtc.so.12",
    "libnvrtc.so.11",
    "libnvrtc.so.11.2",
    "nvrtc64_120_0.dll",
];
/// Where the toolkit is looked for without `CUDA_PATH`.
const TOOLKITS: [&str; 3] = ["/usr/local/cuda", "/opt/cuda", "/usr"];

/// Checks that card `number` can be used: driver, card, run-time compiler, headers.
///
/// # Errors
/// [`Error::Device`] naming what is missing and what to install or set.
pub fn check(number: usize) -> Result<()> {
    let missing = |problem: String, advice: &str| Error::Device {
        device: format!("cuda:{number}"),
        problem,
        advice: advice.into(),
    };
    let Some(driver) = load(&DRIVER) else {
        let advice = "install the NVIDIA driver (it brings libcuda.so.1), or use --device cpu";
        return Err(missing("no NVIDIA driver was found".into(), advice));
    };
    match cards(&driver) {
        Some(count) if number < count => {}
        Some(count) => {
            let advice = "choose another number, check CUDA_VISIBLE_DEVICES, or use --device cpu";
            return Err(missing(format!("the driver sees {count} cards"), advice));
        }
        None => {
            let advice = "check `nvidia-smi`; driver and kernel module may differ after an update: restart";
            return Err(missing("the NVIDIA driver does not start".into(), advice));
        }
    }
    if load(&COMPILER).is_none() {
        let advice = "install NVRTC (CUDA toolkit, or Debian's libnvrtc) and add it to LD_LIBRARY_PATH";
        return Err(missing("no NVRTC library (libnvrtc.so) was found".into(), advice));
    }
    let toolkit = std::env::var_os("CUDA_PATH").map(PathBuf::from);
    if !has_headers(toolkit.as_deref()) {
        let place = toolkit.map_or(TOOLKITS.join(" or "), |path| path.display().to_string());
        let advice = "install the CUDA headers and set CUDA_PATH to the folder that holds include/";
        return Err(missing(format!("no include/cuda_runtime.h under {place}"), advice));
    }
    Ok(())
}

fn load(names: &[&str]) -> Option<Library> {
    // SAFETY: these are the vendor's libraries, whose initialisers are made to be run by any program.
    names.iter().find_map(|name| unsafe { Library::new(name) }.ok())
}

/// Number of cards that the driver sees; none if it does not start.
fn cards(driver: &Library) -> Option<usize> {
    type Init = unsafe extern "C" fn(u32) -> i32;
    type Count = unsafe extern "C" fn(*mut i32) -> i32;
    let mut count = 0;
    // SAFETY: the signatures are those of the driver's interface, unchanged since CUDA 2.0; `count` outlives the call.
    unsafe {
        let init: Symbol<Init> = driver.get(b"cuInit").ok()?;
        let device_count: Symbol<Count> = driver.get(b"cuDeviceGetCount").ok()?;
        // 100 is CUDA_ERROR_NO_DEVICE.
        match init(0) {
            0 => {}
            100 => return Some(0),
            _ => return None,
        }
        (device_count(&mut count) == 0).then_some(usize::try_from(count).unwrap_or(0))
    }
}

/// Whether the headers that kernels are compiled with lie under `toolkit`, or under the usual places.
fn has_headers(toolkit: Option<&Path>) -> bool {
    let holds = |path: &Path| path.join("include/cuda_runtime.h").is_file();
    match toolkit {
        Some(path) => holds(path),
        None => TOOLKITS.iter().any(|path| holds(Path::new(path))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_looked_for_where_cuda_path_says() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(!has_headers(Some(folder.path())));
        std::fs::create_dir(folder.path().join("include")).expect("made");
        std::fs::write(folder.path().join("include/cuda_runtime.h"), "").expect("written");
        assert!(has_headers(Some(folder.path())));
    }

    #[test]
    fn a_card_that_cannot_exist_is_an_error_that_says_what_to_do() {
        let text = check(usize::MAX).expect_err("no such card").to_string();
        assert!(text.contains("--device cpu") || text.contains("nvidia-smi"), "{text}");
    }
}
