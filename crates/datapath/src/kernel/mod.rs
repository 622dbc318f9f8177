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
use crate::image::{Answer, Compiled, Image, Touched};
use crate::plan::{self, Names, State, Write};
use libbpf_rs::query::LinkTypeInfo;
use libbpf_rs::{Link, Object, ObjectBuilder, ProgramInput, ProgramMut};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;
use sys::Control;

/// The programs, compiled by the build script.
const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/wt.bpf.o"));

const FROM_POD: &str = "wt_from_pod";
const TO_POD: &str = "wt_to_pod";
const AFTER_DNAT: &str = "wt_after_dnat";
const START: &str = "wt_start";

/// The programs and maps of this node.
pub struct Loader {
    dir: PathBuf,
    object: Object,
    control: Control,
    state: State,
    /// Numbers of the image of `serial`; then both banks are level.
    names: Option<Names>,
    serial: Option<u64>,
    /// No packet reads the hidden bank any more.
    settled: bool,
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
    /// When packets had begun to see it, and it had been read back. What comes after makes room for the next.
    pub in_force: Instant,
}

/// How much the maps hold that this node may want larger or smaller. Taken when the maps are made; maps that are there
/// already keep their size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Flows that are remembered, at about 136 bytes each.
    pub flows: u32,
    /// Pairs of a set and a peer, both versions together; twice [`crate::bounds::ENTRIES`] for every image to fit.
    pub entries: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { flows: 131_072, entries: 262_144 }
    }
}

impl Loader {
    /// As [`Loader::open_sized`], with sizes that fit all images within the bounds.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_sized(dir, &Sizes::default())
    }

    /// Loads the programs. What is pinned under `dir` already is taken over: maps are kept, attached devices get the new
    /// programs in place, without a packet in between.
    pub fn open_sized(dir: &Path, sizes: &Sizes) -> Result<Self, Error> {
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
            let wanted = match map.name().to_str() {
                Some("flows") => Some(sizes.flows),
                Some("entries") => Some(sizes.entries),
                Some(_) | None => None,
            };
            if let Some(wanted) = wanted {
                let size = maps::size_of_pinned(&path)?.unwrap_or(wanted);
                map.set_max_entries(size).map_err(|e| Error::bpf(format!("size of {}", path.display()), e))?;
            }
            map.set_pin_path(&path).map_err(|e| Error::bpf(format!("pin {}", path.display()), e))?;
        }
        let object = open.load().map_err(|e| Error::bpf("load the programs", e))?;
        let control = maps::map(&object, "control")?;
        let control = Control::map(control.as_fd()).map_err(|e| Error::call("map `control`", e))?;
        control.abi().store(abi::ABI, Ordering::Release);
        let state = maps::read_state(&object, control.epoch())?;
        let answers = FxHashMap::default();
        let this =
            Self { dir: dir.to_owned(), object, control, state, names: None, serial: None, settled: false, answers };
        this.start_sweeper()?;
        for (ifindex, hook) in this.pinned()? {
            this.renew(ifindex, hook)?;
        }
        Ok(this)
    }

    /// Puts the new program in the place of the one that an earlier process attached.
    fn renew(&self, ifindex: u32, hook: Hook) -> Result<(), Error> {
        if self.forgotten(ifindex, hook)? {
            return Ok(());
        }
        let mut link = self.link(ifindex, hook)?;
        let program = self.program(hook)?;
        link.update_prog(&program).map_err(|e| Error::bpf(format!("replace the program of {ifindex}"), e))
    }

    /// True if the gate of this name is on no device any more: the device went away, perhaps while nobody ran, or somebody
    /// took the gate off. Its name goes then, and the flows that it knew.
    fn forgotten(&self, ifindex: u32, hook: Hook) -> Result<bool, Error> {
        let info = self.link(ifindex, hook)?.info().map_err(|e| Error::bpf(format!("ask for gate {ifindex}"), e))?;
        // 0 is no device (`bpf_link_info.tcx.ifindex` of linux/bpf.h).
        let stands = matches!(info.info, LinkTypeInfo::Tcx(tcx) if tcx.ifindex != 0);
        if !stands {
            let path = self.link_path(ifindex, hook);
            std::fs::remove_file(&path).map_err(|e| Error::call(format!("remove {}", path.display()), e))?;
            maps::forget_flows(&self.object, ifindex)?;
        }
        Ok(!stands)
    }

    /// Forgets a device that is gone, its flows and its edges, and says whether it was gone. One that is there keeps its gates, and
    /// is closed unless an image holds its pod: a device of a pod never becomes anybody else's.
    pub fn release(&mut self, ifindex: u32) -> Result<bool, Error> {
        for hook in [Hook::Ingress, Hook::Egress] {
            if self.pinned()?.contains(&(ifindex, hook)) && !self.forgotten(ifindex, hook)? {
                return Ok(false);
            }
        }
        view::drain_edges(&self.object, ifindex)?;
        Ok(true)
    }

    /// Devices that have gates, an earlier process's included.
    pub fn attached(&self) -> Result<BTreeSet<u32>, Error> {
        Ok(self.pinned()?.into_iter().map(|(ifindex, _)| ifindex).collect())
    }

    /// Puts the gates on a device, first in the chain. Idempotent. The device is closed until an image holds its pod.
    pub fn attach(&mut self, ifindex: u32) -> Result<(), Error> {
        let there = self.pinned()?;
        for hook in [Hook::Ingress, Hook::Egress] {
            if there.contains(&(ifindex, hook)) && !self.forgotten(ifindex, hook)? {
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

    /// Puts the programs that decide on Services into netfilter of this thread's network namespace, the node's. Until then
    /// Services are closed for pods whose egress is restricted. Called again (after an upgrade) it replaces them: the new ones
    /// stand before the old ones go.
    pub fn attach_services(&mut self) -> Result<(), Error> {
        use libbpf_rs::{NF_INET_FORWARD, NF_INET_LOCAL_IN, NFPROTO_IPV4, NFPROTO_IPV6};
        for (name, protocol_family, hooknum) in [
            ("forward4", NFPROTO_IPV4, NF_INET_FORWARD),
            ("forward6", NFPROTO_IPV6, NF_INET_FORWARD),
            ("local4", NFPROTO_IPV4, NF_INET_LOCAL_IN),
            ("local6", NFPROTO_IPV6, NF_INET_LOCAL_IN),
        ] {
            let mut link = self.netfilter(protocol_family, hooknum)?;
            let path = self.dir.join("links").join(format!("nf-{name}"));
            let next = self.dir.join("links").join(format!("nf-{name}-next"));
            // Left by a process that died between the two.
            let _ = std::fs::remove_file(&next);
            link.pin(&next).map_err(|e| Error::bpf(format!("pin {}", next.display()), e))?;
            let old = path.exists().then(|| Link::open(&path)).transpose();
            let old = old.map_err(|e| Error::bpf(format!("open {}", path.display()), e))?;
            std::fs::rename(&next, &path).map_err(|e| Error::call(format!("rename {}", next.display()), e))?;
            if let Some(old) = old {
                old.detach().map_err(|e| Error::bpf(format!("detach the old {}", path.display()), e))?;
            }
        }
        self.control.flags().fetch_or(abi::CONTROL_DEFER, Ordering::Release);
        Ok(())
    }

    /// One priority holds one program, so the next free one is taken; all are before the `filter` chains.
    fn netfilter(&self, protocol_family: i32, hooknum: i32) -> Result<Link, Error> {
        let program = program(&self.object, AFTER_DNAT)?;
        let mut last = None;
        for priority in -20..-10 {
            let opts = libbpf_rs::NetfilterOpts { protocol_family, hooknum, priority, ..Default::default() };
            match program.attach_netfilter_with_opts(opts) {
                Ok(link) => return Ok(link),
                Err(e) => last = Some(e),
            }
        }
        Err(last.map_or(Error::Kernel("BPF netfilter links"), |e| Error::bpf("attach to netfilter", e)))
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
        (self.names, self.serial) = (None, None);
        self.settle()?;
        let plan = plan::plan(&self.state, image)?;
        let (writes, mut names) = (plan.writes, plan.names);
        self.state = plan.after;
        let in_force = self.publish(&writes)?;
        self.answers.extend(names.answers.iter().copied().zip(image.answers.iter().cloned()));
        // Nobody waits for the rest: it makes room, and the next change cheap.
        let left = self.wait().and_then(|()| {
            let writes = plan::level_all(&mut self.state, &mut names, image);
            self.write(&writes)
        });
        self.level(left.map(|()| names));
        Ok(Applied { epoch: self.state.epoch, writes: writes.len(), in_force })
    }

    /// As [`Loader::apply`], for images of one [`crate::Compiler`], one after the other: what did not change is not looked at.
    pub fn update(&mut self, compiled: &Compiled) -> Result<Applied, Error> {
        let mine = self.names.take().zip(self.serial.take());
        let applied = match (mine, compiled.since()) {
            (Some((names, serial)), Some((since, touched))) if serial == since => {
                self.advance(names, compiled.image(), touched)
            }
            _ => self.apply(compiled.image()),
        };
        if applied.is_ok() {
            self.serial = Some(compiled.serial());
        }
        applied
    }

    fn advance(&mut self, mut names: Names, image: &Image, touched: &Touched) -> Result<Applied, Error> {
        let answers = names.answers.len();
        self.settle()?;
        let Ok(writes) = plan::advance(&mut self.state, &mut names, image, touched) else {
            self.look_again()?;
            return self.apply(image);
        };
        if writes.is_empty() {
            // Both banks say so already.
            self.state.epoch -= 1;
            self.names = Some(names);
            return Ok(Applied { epoch: self.state.epoch, writes: 0, in_force: Instant::now() });
        }
        let in_force = self.publish(&writes)?;
        self.answers.extend(names.answers[answers..].iter().copied().zip(image.answers[answers..].iter().cloned()));
        let left = self.wait().and_then(|()| {
            let writes = plan::level(&mut self.state, &names, image, touched);
            self.write(&writes)
        });
        self.level(left.map(|()| names));
        Ok(Applied { epoch: self.state.epoch, writes: writes.len(), in_force })
    }

    /// Takes what is known of level banks, or looks what there is.
    fn level(&mut self, names: Result<Names, Error>) {
        // What is in force stays in force: a failure here only makes the next change longer.
        self.names = match names {
            Ok(names) => Some(names),
            Err(_) => self.look_again().ok().and(None),
        };
    }

    /// Writes into the hidden bank, reads back, and publishes the epoch of `state`.
    fn publish(&mut self, writes: &[Write]) -> Result<Instant, Error> {
        if let Err(error) = self.write(writes) {
            // Half of it may be in the hidden bank. Nothing was published; look again at what there is.
            self.look_again()?;
            return Err(error);
        }
        self.control.publish(self.state.epoch);
        self.settled = false;
        if maps::epoch(&self.object)? != self.state.epoch {
            return Err(Error::ReadBack("control"));
        }
        Ok(Instant::now())
    }

    fn write(&self, writes: &[Write]) -> Result<(), Error> {
        maps::write(&self.object, writes)?;
        maps::verify(&self.object, writes)
    }

    /// Takes what the kernel has for what there is, where [`Loader::attest`] found that it is not what was written: the next
    /// image is compared with that, and written whole.
    pub fn distrust(&mut self) -> Result<(), Error> {
        (self.names, self.serial) = (None, None);
        self.look_again()
    }

    fn look_again(&mut self) -> Result<(), Error> {
        let epoch = self.control.epoch();
        // If even this fails nothing is known, and the next plan must not rest on it.
        self.state = State { epoch, ..State::default() };
        self.state = maps::read_state(&self.object, epoch)?;
        Ok(())
    }

    /// Nobody reads the hidden bank any more.
    fn settle(&mut self) -> Result<(), Error> {
        if self.settled { Ok(()) } else { self.wait() }
    }

    /// Packets that still read the bank that is hidden now began before its publication.
    fn wait(&mut self) -> Result<(), Error> {
        sys::wait_for_readers().map_err(|e| Error::call("membarrier", e))?;
        self.settled = true;
        Ok(())
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
        self.control.flags().fetch_and(!abi::CONTROL_DEFER, Ordering::Release);
        for name in ["nf-forward4", "nf-forward6", "nf-local4", "nf-local6"] {
            let path = self.dir.join("links").join(name);
            if path.exists() {
                let link = Link::open(&path).map_err(|e| Error::bpf(format!("open {name}"), e))?;
                link.detach().map_err(|e| Error::bpf(format!("detach {name}"), e))?;
            }
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

    /// Average time of a program on one frame, over `repeat` runs. For benchmarks.
    pub fn time(
        &self,
        hook: Hook,
        frame: &[u8],
        ifindex: u32,
        ingress_ifindex: u32,
        repeat: u32,
    ) -> Result<std::time::Duration, Error> {
        let program = self.program(hook)?;
        let mut context = view::test_context(ifindex, ingress_ifindex);
        let input =
            ProgramInput { context_in: Some(&mut context), data_in: Some(frame), repeat, ..ProgramInput::default() };
        Ok(program.test_run(input).map_err(|e| Error::bpf("test run", e))?.duration)
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
