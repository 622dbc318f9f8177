//! The kernel's side: load, attach, write, publish, read back.
//!
//! Everything lives under one directory of a BPF file system: `maps/` and `links/`. The process may die at any point: what
//! was published stays in force, devices that are attached stay attached, and the next [`Loader::open`] reads what is there.
//! Calls that concern devices act in the network namespace of the calling thread.

mod error;
mod maps;
mod sys;
mod view;

pub use error::Error;
pub use sys::Hook;
pub use view::{Attestation, Edge, Status};

use crate::abi;
use crate::image::{Answer, Image};
use crate::plan::{self, State};
use libbpf_rs::{Link, Object, ObjectBuilder, ProgramInput, ProgramMut};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use sys::Control;

/// The programs, compiled by the build script.
const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/wt.bpf.o"));

const FROM_POD: &str = "wt_from_pod";
const TO_POD: &str = "wt_to_pod";
const START: &str = "wt_start";

/// The programs and maps of this node.
pub struct Loader {
    dir: PathBuf,
    object: Object,
    control: Control,
    state: State,
    /// Answers by the kernel's number, as far as this process has applied or recognised them.
    answers: FxHashMap<u32, Answer>,
}

/// What was applied, read back from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The epoch that packets see from now on.
    pub epoch: u64,
    /// Map writes it took.
    pub writes: usize,
}

impl Loader {
    /// Loads the programs. What is pinned under `dir` already is taken over: maps are kept, attached devices get the new
    /// programs in place, without a packet in between.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let parent = dir.parent().unwrap_or(dir);
        if !sys::in_bpf_fs(parent).map_err(|e| Error::call(format!("stat {}", parent.display()), e))? {
            return Err(Error::NotBpfFs(dir.to_owned()));
        }
        for sub in [dir.to_owned(), dir.join("maps"), dir.join("links")] {
            match std::fs::create_dir(&sub) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::call(format!("create {}", sub.display()), e));
                }
                Ok(()) | Err(_) => {}
            }
        }
        if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            return Err(Error::Kernel("type information (BTF)"));
        }
        maps::check_version(dir)?;
        let mut open = ObjectBuilder::default().open_memory(OBJECT).map_err(|e| Error::bpf("read the programs", e))?;
        for mut map in open.maps_mut() {
            let path = dir.join("maps").join(map.name());
            map.set_pin_path(&path).map_err(|e| Error::bpf(format!("pin {}", path.display()), e))?;
        }
        let object = open.load().map_err(|e| Error::bpf("load the programs", e))?;
        let control = maps::map(&object, "control")?;
        let control = Control::map(control.as_fd()).map_err(|e| Error::call("map `control`", e))?;
        control.abi().store(abi::ABI, Ordering::Release);
        // Nobody decides on Services yet: they are closed for pods whose egress is restricted.
        control.flags().store(0, Ordering::Release);
        let state = maps::read_state(&object, control.epoch())?;
        let this = Self { dir: dir.to_owned(), object, control, state, answers: FxHashMap::default() };
        this.start_sweeper()?;
        for (ifindex, hook) in this.pinned()? {
            let mut link = this.link(ifindex, hook)?;
            let program = this.program(hook)?;
            link.update_prog(&program).map_err(|e| Error::bpf(format!("replace the program of {ifindex}"), e))?;
        }
        Ok(this)
    }

    /// Puts the gates on a device, first in the chain. Idempotent. The device is closed until an image holds its pod.
    pub fn attach(&mut self, ifindex: u32) -> Result<(), Error> {
        let there = self.pinned()?;
        for hook in [Hook::Ingress, Hook::Egress] {
            if there.contains(&(ifindex, hook)) {
                continue;
            }
            let program = self.program(hook)?;
            let link = sys::attach_tcx(program.as_fd(), ifindex, hook).map_err(|e| match e.raw_os_error() {
                Some(libc::ENODEV) => Error::NoDevice(ifindex),
                Some(libc::EINVAL) => Error::Kernel("tcx (Linux 6.6)"),
                _ => Error::call(format!("attach to device {ifindex}"), e),
            })?;
            let path = self.link_path(ifindex, hook);
            sys::pin(link.as_fd(), &path).map_err(|e| Error::call(format!("pin {}", path.display()), e))?;
        }
        Ok(())
    }

    /// Takes the gates off a device (it may be gone already), forgets its flows, and gives back its edges.
    pub fn detach(&mut self, ifindex: u32) -> Result<Vec<Edge>, Error> {
        for hook in [Hook::Ingress, Hook::Egress] {
            if self.pinned()?.contains(&(ifindex, hook)) {
                self.unlink(ifindex, hook)?;
            }
        }
        maps::forget_flows(&self.object, ifindex)?;
        view::drain_edges(&self.object, ifindex)
    }

    /// Brings an image into force. Either all of it is, and was read back, or nothing is and the error says why.
    pub fn apply(&mut self, image: &Image) -> Result<Applied, Error> {
        // Packets that still read the hidden bank began before the last publication.
        sys::wait_for_readers().map_err(|e| Error::call("membarrier", e))?;
        let plan = plan::plan(&self.state, image)?;
        let written = maps::write(&self.object, &plan.writes).and_then(|()| maps::verify(&self.object, &plan.writes));
        if let Err(error) = written {
            // Half of it may be in the hidden bank. Nothing was published; look again at what there is.
            self.state = maps::read_state(&self.object, self.control.epoch())?;
            return Err(error);
        }
        self.control.publish(plan.after.epoch);
        if maps::epoch(&self.object)? != plan.after.epoch {
            return Err(Error::ReadBack("control"));
        }
        let applied = Applied { epoch: plan.after.epoch, writes: plan.writes.len() };
        self.answers.extend(plan.answers.iter().copied().zip(image.answers.iter().cloned()));
        self.state = plan.after;
        Ok(applied)
    }

    /// What decided, by the number in an edge. `None`: it is from before this process, and no image has had it since.
    pub fn answer(&self, number: u32) -> Option<&Answer> {
        self.answers.get(&number)
    }

    /// Takes everything away: gates, flows, counters. Afterwards no trace is left in the kernel.
    pub fn uninstall(self) -> Result<(), Error> {
        for (ifindex, hook) in self.pinned()? {
            self.unlink(ifindex, hook)?;
        }
        let Self { dir, object, control, .. } = self;
        drop((object, control));
        for sub in ["links", "maps"] {
            remove_all(&dir.join(sub))?;
        }
        std::fs::remove_dir(&dir).map_err(|e| Error::call(format!("remove {}", dir.display()), e))
    }

    /// Runs the program of a hook on one frame, as the kernel would for device `ifindex` (it exists in this network
    /// namespace): true if it passes. For self-checks and tests; counters and flows move as for a real packet.
    pub fn test_run(&self, hook: Hook, frame: &[u8], ifindex: u32, ingress_ifindex: u32) -> Result<bool, Error> {
        let program = self.program(hook)?;
        let mut context = view::test_context(ifindex, ingress_ifindex);
        let input = ProgramInput { context_in: Some(&mut context), data_in: Some(frame), ..ProgramInput::default() };
        let output = program.test_run(input).map_err(|e| Error::bpf("test run", e))?;
        // TCX_NEXT, as the program returns it.
        Ok(output.return_value == u32::MAX)
    }

    fn start_sweeper(&self) -> Result<(), Error> {
        let start = program(&self.object, START)?;
        let output = start.test_run(ProgramInput::default()).map_err(|e| Error::bpf("start the sweeper", e))?;
        match output.return_value {
            0 => Ok(()),
            _ => Err(Error::Kernel("BPF timers")),
        }
    }

    fn program(&self, hook: Hook) -> Result<ProgramMut<'_>, Error> {
        program(
            &self.object,
            match hook {
                Hook::Ingress => FROM_POD,
                Hook::Egress => TO_POD,
            },
        )
    }

    /// The kernel's number of the program of a hook.
    fn program_id(&self, hook: Hook) -> Result<u32, Error> {
        let program = self.program(hook)?;
        libbpf_rs::Program::id_from_fd(program.as_fd()).map_err(|e| Error::bpf("ask for a program's id", e))
    }

    fn link_path(&self, ifindex: u32, hook: Hook) -> PathBuf {
        self.dir.join("links").join(format!("{ifindex}-{}", suffix(hook)))
    }

    fn link(&self, ifindex: u32, hook: Hook) -> Result<Link, Error> {
        let path = self.link_path(ifindex, hook);
        Link::open(&path).map_err(|e| Error::bpf(format!("open {}", path.display()), e))
    }

    /// Takes one gate away. Removing the name alone would do so too, but later, when the kernel gets round to it.
    fn unlink(&self, ifindex: u32, hook: Hook) -> Result<(), Error> {
        let path = self.link_path(ifindex, hook);
        let link = self.link(ifindex, hook)?;
        link.detach().map_err(|e| Error::bpf(format!("detach {}", path.display()), e))?;
        std::fs::remove_file(&path).map_err(|e| Error::call(format!("remove {}", path.display()), e))
    }

    /// Devices and hooks with a pinned link.
    fn pinned(&self) -> Result<BTreeSet<(u32, Hook)>, Error> {
        let dir = self.dir.join("links");
        let failed = |e| Error::call(format!("list {}", dir.display()), e);
        let mut out = BTreeSet::new();
        for entry in std::fs::read_dir(&dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            for hook in [Hook::Ingress, Hook::Egress] {
                let number = name.to_str().and_then(|n| n.strip_suffix(suffix(hook))?.strip_suffix('-'));
                out.extend(number.and_then(|n| n.parse().ok()).map(|ifindex: u32| (ifindex, hook)));
            }
        }
        Ok(out)
    }
}

fn suffix(hook: Hook) -> &'static str {
    match hook {
        Hook::Ingress => "from",
        Hook::Egress => "to",
    }
}

fn program<'o>(object: &'o Object, name: &'static str) -> Result<ProgramMut<'o>, Error> {
    object.progs_mut().find(|p| p.name() == name).ok_or(Error::Kernel(name))
}

fn remove_all(dir: &Path) -> Result<(), Error> {
    let failed = |e| Error::call(format!("remove {}", dir.display()), e);
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        std::fs::remove_file(entry.map_err(failed)?.path()).map_err(failed)?;
    }
    std::fs::remove_dir(dir).map_err(failed)
}
