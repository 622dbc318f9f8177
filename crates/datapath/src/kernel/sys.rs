//! The calls that libbpf-rs does not offer. The only file with `unsafe`; each use says why it is sound.
#![expect(unsafe_code, reason = "system calls and a shared mapping; nothing else here, and nothing like it elsewhere")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Where a tcx program stands, seen from the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// What the device receives: on the host's end of a pod's cable, what the pod sends.
    Ingress,
    /// What the device sends: what the pod receives.
    Egress,
}

impl Hook {
    fn attach_type(self) -> libbpf_sys::bpf_attach_type {
        match self {
            Hook::Ingress => libbpf_sys::BPF_TCX_INGRESS,
            Hook::Egress => libbpf_sys::BPF_TCX_EGRESS,
        }
    }
}

/// `include/uapi/linux/bpf.h`: before everyone else on the hook.
const BPF_F_BEFORE: u32 = 1 << 3;
/// `include/uapi/linux/magic.h`.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

fn check(result: i32) -> io::Result<i32> {
    // libbpf's low-level calls return -errno.
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Attaches a program first in the chain of a device of this thread's network namespace.
pub(super) fn attach_tcx(program: BorrowedFd<'_>, ifindex: u32, hook: Hook) -> io::Result<OwnedFd> {
    let target = i32::try_from(ifindex).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    // SAFETY: a plain C structure of numbers and nullable pointers; all zero is its documented default.
    let mut opts: libbpf_sys::bpf_link_create_opts = unsafe { std::mem::zeroed() };
    opts.sz = size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t;
    opts.flags = BPF_F_BEFORE;
    // SAFETY: `opts` lives through the call and says its own size; the descriptors are numbers to the kernel.
    let fd = unsafe { libbpf_sys::bpf_link_create(program.as_raw_fd(), target, hook.attach_type(), &opts) };
    let fd = check(fd)?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ids of the programs on a hook, in the order in which they run.
pub(super) fn chain(ifindex: u32, hook: Hook) -> io::Result<Vec<u32>> {
    let target = i32::try_from(ifindex).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    let mut ids = vec![0u32; 64];
    // SAFETY: as in `attach_tcx`.
    let mut opts: libbpf_sys::bpf_prog_query_opts = unsafe { std::mem::zeroed() };
    opts.sz = size_of::<libbpf_sys::bpf_prog_query_opts>() as libbpf_sys::size_t;
    opts.prog_ids = ids.as_mut_ptr();
    opts.__bindgen_anon_1.count = 64;
    // SAFETY: `ids` has room for the `count` numbers that the kernel may write, and lives through the call.
    check(unsafe { libbpf_sys::bpf_prog_query_opts(target, hook.attach_type(), &mut opts) })?;
    // SAFETY: both members of the union are one number of the same type; the kernel has written the count.
    let count = unsafe { opts.__bindgen_anon_1.count };
    ids.truncate(count as usize);
    Ok(ids)
}

/// Gives a link a name in the BPF file system, so that it outlives us.
pub(super) fn pin(fd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: `path` ends with a zero byte and lives through the call.
    check(unsafe { libbpf_sys::bpf_obj_pin(fd.as_raw_fd(), path.as_ptr()) }).map(|_| ())
}

/// True if the path is in a BPF file system.
pub(super) fn in_bpf_fs(path: &Path) -> io::Result<bool> {
    let path = c_path(path)?;
    // SAFETY: a plain C structure of numbers, filled by the kernel below.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` ends with a zero byte, `stat` is ours and large enough.
    if unsafe { libc::statfs(path.as_ptr(), &mut stat) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // The field is signed on some architectures and 32 bits wide on others; the magic number fits in both.
    #[expect(clippy::cast_possible_truncation, reason = "compared by its low 32 bits, which is all a magic number has")]
    Ok(stat.f_type as u32 == BPF_FS_MAGIC as u32)
}

/// Waits until every BPF program that is running now has ended: `MEMBARRIER_CMD_GLOBAL` waits for an RCU grace period
/// (kernel/sched/membarrier.c), and programs run inside one.
pub(super) fn wait_for_readers() -> io::Result<()> {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: takes three numbers and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Element 0 of `control`, shared with the kernel: the epoch is written with one store, so no packet sees half of it.
pub(super) struct Control {
    page: NonNull<libc::c_void>,
}

// SAFETY: the page is only reached through atomics.
unsafe impl Send for Control {}
// SAFETY: as above; atomics may be used from several threads at once.
unsafe impl Sync for Control {}

const PAGE: usize = 4096;

impl Control {
    /// Maps the page of an array map with `BPF_F_MMAPABLE`.
    pub(super) fn map(fd: BorrowedFd<'_>) -> io::Result<Self> {
        // SAFETY: a new mapping at a place of the kernel's choice; it covers one page, which such a map always has.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                PAGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(page).map(|page| Self { page }).ok_or_else(io::Error::last_os_error)
    }

    fn epoch_cell(&self) -> &AtomicU64 {
        // SAFETY: the page is mapped until `self` is dropped, is aligned, and is shared memory: atomics only.
        unsafe { &*self.page.as_ptr().cast::<AtomicU64>() }
    }

    fn word_cell(&self, at: usize) -> &AtomicU32 {
        debug_assert!(at.is_multiple_of(4) && at < 16);
        // SAFETY: as above; `at` is a multiple of four below sixteen.
        unsafe { &*self.page.as_ptr().cast::<u8>().add(at).cast::<AtomicU32>() }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch_cell().load(Ordering::Acquire)
    }

    /// Publishes: everything written to maps before is visible to whoever sees this.
    pub(super) fn publish(&self, epoch: u64) {
        self.epoch_cell().store(epoch, Ordering::Release);
    }

    pub(super) fn flags(&self) -> &AtomicU32 {
        self.word_cell(8)
    }

    pub(super) fn abi(&self) -> &AtomicU32 {
        self.word_cell(12)
    }
}

impl std::ops::Drop for Control {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made, and nobody holds a reference into it any more.
        unsafe { libc::munmap(self.page.as_ptr(), PAGE) };
    }
}
