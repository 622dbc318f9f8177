//! What this host could do: its kernel, and the type information that BPF programs need.

use super::{Check, Group, Status};
use std::path::Path;

/// `root` is `/`, or a stand-in for tests.
pub(super) fn checks(root: &Path) -> Vec<Check> {
    vec![kernel(root), btf(root)]
}

fn kernel(root: &Path) -> Check {
    let check = |status, message| Check::new(Group::Host, "kernel", status, message);
    match std::fs::read_to_string(root.join("proc/sys/kernel/osrelease")) {
        Ok(text) => check(Status::Ok, format!("Linux {}", crate::words::one_line(&text))),
        Err(_) => check(Status::Unknown, "not Linux, or `/proc` is not mounted (analysis works all the same)".into()),
    }
}

fn btf(root: &Path) -> Check {
    let check = |status, message| Check::new(Group::Host, "btf", status, message);
    if root.join("sys/kernel/btf/vmlinux").exists() {
        return check(Status::Ok, "kernel type information (`/sys/kernel/btf/vmlinux`) is there");
    }
    if root.join("sys/kernel").is_dir() {
        return check(Status::Warn, "no kernel type information: the node agent cannot run here (analysis works)")
            .hint("needs a kernel built with CONFIG_DEBUG_INFO_BTF=y");
    }
    check(Status::Unknown, "`/sys` is not mounted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_and_without_kernel_types() {
        let dir = tempfile::tempdir().unwrap();
        let statuses = || checks(dir.path()).into_iter().map(|c| c.status).collect::<Vec<_>>();
        assert_eq!(statuses(), [Status::Unknown, Status::Unknown]);
        std::fs::create_dir_all(dir.path().join("proc/sys/kernel")).unwrap();
        std::fs::create_dir_all(dir.path().join("sys/kernel")).unwrap();
        std::fs::write(dir.path().join("proc/sys/kernel/osrelease"), "6.12.9\n").unwrap();
        assert_eq!(statuses(), [Status::Ok, Status::Warn]);
        assert_eq!(checks(dir.path())[0].message, "Linux 6.12.9");
        std::fs::create_dir_all(dir.path().join("sys/kernel/btf")).unwrap();
        std::fs::write(dir.path().join("sys/kernel/btf/vmlinux"), "").unwrap();
        assert_eq!(statuses(), [Status::Ok, Status::Ok]);
    }
}
