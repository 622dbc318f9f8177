//! Compiles the BPF programs with clang. Its only output is the object that `src/kernel/object.rs` embeds.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

fn main() {
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    // Set by libbpf-sys for those who depend on it: libbpf's own headers.
    let Some(include) = env::var_os("DEP_BPF_INCLUDE") else {
        fail("libbpf-sys did not say where libbpf's headers are", "cargo clean -p libbpf-sys");
    };
    let Some(out) = env::var_os("OUT_DIR") else { fail("OUT_DIR is not set", "run this through cargo") };
    let object = PathBuf::from(out).join("wt.bpf.o");
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let endian = if env::var("CARGO_CFG_TARGET_ENDIAN").as_deref() == Ok("big") { "bpfeb" } else { "bpfel" };
    let status = Command::new(&clang)
        // v3 has the atomic compare and exchange; every kernel that has tcx understands it.
        .args(["-target", endian, "-mcpu=v3", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"])
        // No path of this machine in the object: the same sources give the same bytes.
        .args(["-fdebug-compilation-dir=.", "-Ibpf", "-isystem"])
        .arg(include)
        .args(["-c", "bpf/wt.bpf.c", "-o"])
        .arg(&object)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => fail("clang could not compile bpf/wt.bpf.c", "clang 14 or newer is needed: apt-get install clang"),
        Err(error) => fail(&format!("`{clang}` cannot be run: {error}"), "apt-get install clang"),
    }
}

fn fail(what: &str, help: &str) -> ! {
    println!("cargo:warning={what}");
    println!("cargo:warning=help: {help}");
    exit(1);
}
