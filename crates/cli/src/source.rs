//! Where the world comes from: files, standard input, or a live cluster.

use crate::ctx::Ctx;
use crate::exit::{Exit, Failure};
use crate::host::Stdin;
use crate::text::count;
use std::path::{Path, PathBuf};
use std::time::Instant;
use watertight_cluster::{Access, AccessError, Client, ReadOptions, Snapshot, Timeouts};
use watertight_ingest::{Diagnostic, Input, Loaded, Options, Refused};
use watertight_model::World;

/// What was read.
pub struct Source {
    /// The world.
    pub world: World,
    /// For a live cluster: context, kubeconfig and version, in words.
    pub cluster: Option<String>,
    /// What the readers warned of.
    pub warnings: Vec<Diagnostic>,
}

/// Reads what the flags name, warns about what is missing, and saves it if asked to.
pub fn load(ctx: &mut Ctx<'_, '_>) -> Result<Source, Failure> {
    let mut source = load_plain(ctx)?;
    if let Some(candidates) = candidates(ctx)? {
        crate::candidates::put(&mut source.world, candidates)?;
    }
    warn_incomplete(ctx, &source.world);
    Ok(source)
}

/// The world of `--policies`.
pub(crate) fn candidates(ctx: &mut Ctx<'_, '_>) -> Result<Option<World>, Failure> {
    if ctx.global.policies.is_empty() {
        return Ok(None);
    }
    let inputs: Vec<Input> = ctx.global.policies.iter().map(|p| Input::Path(p.clone())).collect();
    read(ctx, &inputs, &options(ctx)).map(|candidates| Some(candidates.world))
}

/// The same without candidate policies and without a word about what is missing.
pub fn load_plain(ctx: &mut Ctx<'_, '_>) -> Result<Source, Failure> {
    if ctx.global.files.is_empty() { live(ctx) } else { files(ctx) }
}

/// True if nothing is missing: everything was read, and every policy kind is evaluated.
pub fn is_whole(world: &World) -> bool {
    world.unread.is_empty() && world.foreign_policies.is_empty()
}

/// The reader's options from the flags.
pub(crate) fn options(ctx: &Ctx<'_, '_>) -> Options {
    let mut options = Options {
        strict_cidr: !ctx.global.lenient_cidr,
        pod_cidrs: ctx.global.pod_cidrs.clone(),
        ..Options::default()
    };
    if let Some(namespace) = ctx.global.namespace.as_deref().filter(|_| !ctx.global.all_namespaces) {
        // As `kubectl apply -n` would place them.
        options.default_namespace = namespace.into();
    }
    options
}

/// Where to look for a cluster.
pub fn access(ctx: &Ctx<'_, '_>) -> Access {
    Access {
        kubeconfig: ctx.global.kubeconfig.clone(),
        context: ctx.global.context.clone(),
        environment: ctx.host.environment.clone(),
        timeouts: Timeouts::default(),
    }
}

/// A world of a snapshot's texts.
pub fn of_snapshot(snapshot: &Snapshot, options: &Options) -> Result<Loaded, Refused> {
    watertight_ingest::read(&pages(snapshot), options)
}

fn pages(snapshot: &Snapshot) -> Vec<Input> {
    let page = |text: &String| Input::Text { name: snapshot.name.clone(), text: text.clone() };
    std::iter::once(page(&snapshot.info_page())).chain(snapshot.pages.iter().map(page)).collect()
}

fn files(ctx: &mut Ctx<'_, '_>) -> Result<Source, Failure> {
    let paths = ctx.global.files.clone();
    let mut inputs = Vec::new();
    for path in &paths {
        inputs.extend(input(ctx, path)?);
    }
    let options = options(ctx);
    let loaded = read(ctx, &inputs, &options)?;
    if let Some(file) = ctx.global.save.clone() {
        save_files(&inputs, &loaded.world, &file, &options)?;
        ctx.note(&format!("saved to `{}`", file.display()));
    }
    Ok(Source { world: loaded.world, cluster: None, warnings: loaded.diagnostics })
}

/// What a path of the command line stands for: itself, or what a tool makes of it.
pub(crate) fn input(ctx: &Ctx<'_, '_>, path: &Path) -> Result<Vec<Input>, Failure> {
    if let Some(kind) = crate::rendered::Kind::of(path) {
        let _progress = ctx.progress("rendering");
        return crate::rendered::render(kind, path, ctx.global.namespace.as_deref());
    }
    match &ctx.host.stdin {
        Stdin::Given(bytes) if path.as_os_str() == "-" => match String::from_utf8(bytes.clone()) {
            Ok(text) => Ok(vec![Input::Text { name: "-".to_owned(), text }]),
            Err(_) => Err(Failure::new(Exit::BadInput, "utf-8", "standard input is not UTF-8 text", None)),
        },
        _ => Ok(vec![Input::Path(path.to_owned())]),
    }
}

fn live(ctx: &mut Ctx<'_, '_>) -> Result<Source, Failure> {
    let (snapshot, cluster) = snapshot(ctx)?;
    let options = options(ctx);
    let begun = Instant::now();
    let loaded = of_snapshot(&snapshot, &options).map_err(|refused| refuse(&refused))?;
    said(ctx, &loaded, begun);
    // Which cluster was asked must never be a guess.
    ctx.note(&format!("cluster: {cluster}"));
    Ok(Source { world: loaded.world, cluster: Some(cluster), warnings: loaded.diagnostics })
}

/// The cluster as it is, and as it would be after `kubectl apply` of files; and which cluster it is, in words.
pub fn live_and_applied(ctx: &mut Ctx<'_, '_>, over: &[Input]) -> Result<([Loaded; 2], String), Failure> {
    let (snapshot, cluster) = snapshot(ctx)?;
    let pages = pages(&snapshot);
    let options = options(ctx);
    let now = read(ctx, &pages, &options)?;
    let begun = Instant::now();
    let then = watertight_ingest::read_applied(&pages, over, &options).map_err(|refused| refuse(&refused))?;
    said(ctx, &then, begun);
    ctx.note(&format!("cluster: {cluster}"));
    Ok(([now, then], cluster))
}

/// The cluster's objects as text, and which cluster it is, in words.
fn snapshot(ctx: &mut Ctx<'_, '_>) -> Result<(Snapshot, String), Failure> {
    let access = access(ctx);
    let progress = ctx.progress("connecting to the cluster");
    let client = watertight_cluster::connect(&access).map_err(|e| unreachable(&e))?;
    let read_options = ReadOptions { namespaces: ctx.global.namespace.clone().map(|n| vec![n]) };
    let snapshot = watertight_cluster::read_with_progress(&client, &read_options, &mut |kind, n| {
        progress.at(|| format!("reading {kind}, {}", count(n, "object")));
    })
    .map_err(|e| unreachable(&e))?;
    drop(progress);
    if let Some(file) = ctx.global.save.clone() {
        watertight_cluster::save(&snapshot, &file, &ctx.host.now.to_string()).map_err(|e| unreachable(&e))?;
        ctx.note(&format!("saved to `{}`", file.display()));
    }
    Ok((snapshot, named(&client)))
}

/// Which cluster it is, in words.
pub(crate) fn named(client: &Client) -> String {
    let version = client.server_version().map_or_else(String::new, |v| format!(", Kubernetes {v}"));
    format!("{}{version}", client.place())
}

/// A cluster that cannot be reached. A kubeconfig that is there and broken is bad input.
pub fn unreachable(error: &AccessError) -> Failure {
    let exit = match error {
        AccessError::BrokenKubeconfig { .. }
        | AccessError::EmptyKubeconfig { .. }
        | AccessError::NoCurrentContext { .. }
        | AccessError::UnknownContext { .. }
        | AccessError::DanglingContext { .. }
        | AccessError::BadCluster { .. }
        | AccessError::BadCredentials { .. } => Exit::BadInput,
        _ => Exit::Unreachable,
    };
    Failure::new(exit, error.code(), error.to_string(), Some(error.help()))
}

/// Reads inputs and draws the reader's warnings.
pub fn read(ctx: &mut Ctx<'_, '_>, inputs: &[Input], options: &Options) -> Result<Loaded, Failure> {
    let progress = ctx.progress("reading");
    let begun = Instant::now();
    let loaded = watertight_ingest::read(inputs, options).map_err(|refused| refuse(&refused))?;
    drop(progress);
    said(ctx, &loaded, begun);
    Ok(loaded)
}

fn said(ctx: &mut Ctx<'_, '_>, loaded: &Loaded, begun: Instant) {
    let findings = ctx.warnings_are_findings;
    let shown = loaded.diagnostics.iter().filter(|d| !(findings && is_finding(d)));
    ctx.diagnostics(&shown.cloned().collect::<Vec<_>>(), &loaded.world.sources);
    let world = &loaded.world;
    let policies = world.policies.len() + world.cluster_policies.len();
    ctx.detail(&format!(
        "read {}: {}, {}, {}, {} in {:.1} ms",
        count(world.sources.len(), "input"),
        count(world.pods.len(), "pod"),
        count(world.workloads.len(), "workload"),
        count(world.namespaces.len(), "namespace"),
        count(policies, "policy"),
        begun.elapsed().as_secs_f64() * 1000.0,
    ));
}

/// A warning with a code of the catalogue: the auditor reports it among the findings.
pub fn is_finding(diagnostic: &Diagnostic) -> bool {
    diagnostic.code.starts_with("WT")
}

/// Input that was refused: 3 if all that is wrong is that files cannot be reached, else 2.
pub(crate) fn refuse(refused: &Refused) -> Failure {
    /// The reader's codes for a file that is not there or may not be read.
    const OUT_OF_REACH: [&str; 4] = ["no-such-file", "unreadable-file", "broken-link", "link-loop"];
    let errors = refused.diagnostics.iter().filter(|d| d.severity == watertight_ingest::Severity::Error);
    let exit = errors
        .map(|d| if OUT_OF_REACH.contains(&d.code) { Exit::Unreachable } else { Exit::BadInput })
        .fold(Exit::Clean, Exit::worst);
    let exit = if exit == Exit::Clean { Exit::BadInput } else { exit };
    Failure { exit, diagnostics: refused.diagnostics.clone(), sources: refused.sources.clone() }
}

/// Writes the texts that were read as one stream of documents. It is read back before it is written: what would not give
/// the same objects is refused.
fn save_files(inputs: &[Input], world: &World, file: &Path, options: &Options) -> Result<(), Failure> {
    let mut out = String::new();
    let mut add = |name: &str, text: &str| {
        // `...` ends whatever came before, so that directives and documents without `---` may follow.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_end();
        out.push_str(&format!("# {}\n{text}\n...\n", crate::text::clean(name)));
    };
    let cannot = |name: &str| {
        let message = format!("`{name}` cannot be saved");
        Failure::new(Exit::BadInput, "save", message, Some("keep the files themselves".to_owned()))
    };
    for source in &world.sources {
        match &source.text {
            Some(text) => add(&source.name, text),
            // Large texts are not kept; the file is still there.
            None if &*source.name != "-" => match std::fs::read_to_string(&*source.name) {
                Ok(text) => add(&source.name, &text),
                Err(_) => return Err(cannot(&source.name)),
            },
            None => return Err(cannot("standard input")),
        }
    }
    let again = [Input::Text { name: file.display().to_string(), text: out.clone() }];
    let same = watertight_ingest::read(&again, options).is_ok_and(|loaded| {
        let size = |w: &World| {
            (
                w.pods.len(),
                w.workloads.len(),
                w.policies.len(),
                w.cluster_policies.len(),
                w.foreign_policies.len(),
                w.services.len(),
            )
        };
        size(&loaded.world) == size(world)
    });
    if !same {
        return Err(cannot(&format!("what {} inputs hold", inputs.len())));
    }
    write_whole(file, out.as_bytes())
}

/// Writes a file that appears whole or not at all, readable by its owner only if it is new: it shows the inside of a
/// cluster.
pub fn write_whole(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    let failed = |error: &std::io::Error| Failure::write(&format!("`{}`", file.display()), error);
    let Some(name) = file.file_name() else {
        return Err(failed(&std::io::Error::other("not a file name")));
    };
    let mut partial_name = name.to_owned();
    partial_name.push(format!(".{}.partial", std::process::id()));
    let partial: PathBuf = file.with_file_name(partial_name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        let mut out = options.open(&partial)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        std::fs::rename(&partial, file)
    };
    write().map_err(|error| {
        // Best effort: the error that counts is the first.
        let _ = std::fs::remove_file(&partial);
        failed(&error)
    })
}

fn warn_incomplete(ctx: &mut Ctx<'_, '_>, world: &World) {
    for line in incomplete(world) {
        ctx.warn(&line);
    }
}

/// The same for two worlds; what is missing in both is said once.
pub fn warn_both_incomplete(ctx: &mut Ctx<'_, '_>, worlds: [&World; 2]) {
    let mut lines = incomplete(worlds[0]);
    let more = incomplete(worlds[1]).into_iter().filter(|l| !lines.contains(l)).collect::<Vec<_>>();
    lines.extend(more);
    lines.iter().for_each(|line| ctx.warn(line));
}

/// What is missing, one line each.
pub(crate) fn incomplete(world: &World) -> Vec<String> {
    let mut out = Vec::new();
    for unread in &world.unread {
        let place = unread.namespace.as_ref().map_or_else(String::new, |ns| format!(" of namespace `{ns}`"));
        out.push(format!("`{}`{place} could not be read: {}", unread.what, unread.why));
    }
    let mut kinds: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for policy in &world.foreign_policies {
        *kinds.entry(&policy.kind).or_default() += 1;
    }
    for (kind, n) in kinds {
        let are = if n == 1 { "is" } else { "are" };
        out.push(format!("{} {are} not evaluated; every verdict that could change says so", count(n, kind)));
    }
    out
}
