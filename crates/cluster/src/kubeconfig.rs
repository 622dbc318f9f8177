//! Finds, reads and merges kubeconfig files, and picks a context.
//!
//! Input: [`Access`]. Output: one merged kubeconfig, the files it came from, the context's name. Decoding is `kube`'s;
//! files are read here, once and bounded, because errors must name the file and must not quote it. Rules of merging:
//! <https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/#merging-kubeconfig-files>.

use crate::access::Access;
use crate::error::AccessError;
use kube::config::{Kubeconfig, KubeconfigError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Larger files are not kubeconfigs.
const MAX_BYTES: u64 = 16 << 20;

/// A context, with everything it needs.
pub(crate) struct Chosen {
    pub(crate) config: Kubeconfig,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) context: String,
}

/// Where to look.
enum Search {
    /// `--kubeconfig`: must exist.
    Named(PathBuf),
    /// `KUBECONFIG` or the default: files that do not exist are passed over, as kubectl does.
    List(Vec<PathBuf>),
}

/// The chosen context; `None` if no file exists and the process runs in a pod.
pub(crate) fn choose(access: &Access) -> Result<Option<Chosen>, AccessError> {
    let (wanted, named) = match search(access) {
        Search::Named(file) => (vec![file], true),
        Search::List(files) => (files, false),
    };
    let mut config = Kubeconfig::default();
    let mut files = Vec::new();
    for file in &wanted {
        match read_file(file, access.timeouts.connect) {
            Ok(text) => {
                let next = parse(file, &text)?;
                config = config.merge(next).map_err(|e| mismatch(file, &e))?;
                files.push(file.clone());
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(AccessError::UnreadableKubeconfig { file: file.clone(), why: e.to_string() }),
        }
    }
    if files.is_empty() {
        let in_pod = access.environment.in_cluster && !named && access.context.is_none();
        return if in_pod { Ok(None) } else { Err(AccessError::NoKubeconfig { tried: wanted }) };
    }
    let context = context(access, &config, &files)?;
    Ok(Some(Chosen { config, files, context }))
}

fn search(access: &Access) -> Search {
    if let Some(file) = &access.kubeconfig {
        return Search::Named(file.clone());
    }
    if let Some(list) = &access.environment.kubeconfig {
        let files: Vec<PathBuf> = std::env::split_paths(list).filter(|p| !p.as_os_str().is_empty()).collect();
        if !files.is_empty() {
            return Search::List(files);
        }
    }
    Search::List(access.environment.home.iter().map(|home| home.join(".kube").join("config")).collect())
}

/// Reads on a thread of its own: opening a pipe that nobody writes to blocks for ever.
fn read_file(file: &Path, timeout: Duration) -> std::io::Result<String> {
    let (send, receive) = std::sync::mpsc::channel::<std::io::Result<Vec<u8>>>();
    let path = file.to_owned();
    std::thread::Builder::new().name("kubeconfig".into()).spawn(move || {
        let read = || {
            let mut bytes = Vec::new();
            std::fs::File::open(&path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        // The receiver may have given up.
        let _ = send.send(read());
    })?;
    let bytes: Vec<u8> = receive
        .recv_timeout(timeout)
        .map_err(|_| std::io::Error::new(std::io::ErrorKind::TimedOut, "nobody writes to this pipe"))??;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(std::io::Error::other(format!("larger than {} MiB", MAX_BYTES >> 20)));
    }
    decode(bytes).ok_or_else(|| std::io::Error::other("not text (UTF-8, or UTF-16 with a byte order mark)"))
}

/// UTF-8 or, as Windows tools write it, UTF-16 with a byte order mark.
fn decode(bytes: Vec<u8>) -> Option<String> {
    let wide = |unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes[2..].as_chunks::<2>();
        rest.is_empty().then(|| String::from_utf16(&pairs.iter().map(|pair| unit(*pair)).collect::<Vec<_>>()).ok())?
    };
    match bytes.as_slice() {
        [0xFF, 0xFE, ..] => wide(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => wide(u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes).ok(),
    }
}

fn parse(file: &Path, text: &str) -> Result<Kubeconfig, AccessError> {
    // The parser's own message quotes the file, and so may quote a token: only its place is taken over.
    let mut config = Kubeconfig::from_yaml(text).map_err(|error| {
        let at = match &error {
            KubeconfigError::Parse(e) => e.location().map(|l| (l.line(), l.column())).filter(|(line, _)| *line > 0),
            _ => None,
        };
        AccessError::BrokenKubeconfig { file: file.to_owned(), at }
    })?;
    if let Some(dir) = file.parent() {
        resolve_paths(&mut config, dir);
    }
    Ok(config)
}

/// Paths in a kubeconfig are relative to its own directory.
fn resolve_paths(config: &mut Kubeconfig, dir: &Path) {
    let resolve = |path: &mut Option<String>| {
        if let Some(text) = path.as_mut().filter(|text| !text.is_empty() && Path::new(text.as_str()).is_relative()) {
            *text = dir.join(&*text).to_string_lossy().into_owned();
        }
    };
    for cluster in config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        resolve(&mut cluster.certificate_authority);
    }
    for user in config.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        resolve(&mut user.client_certificate);
        resolve(&mut user.client_key);
        resolve(&mut user.token_file);
        // A bare command is looked up in PATH.
        if let Some(exec) = user.exec.as_mut()
            && exec.command.as_ref().is_some_and(|c| c.contains(std::path::MAIN_SEPARATOR))
        {
            resolve(&mut exec.command);
        }
    }
}

fn mismatch(file: &Path, error: &KubeconfigError) -> AccessError {
    let why = match error {
        KubeconfigError::KindMismatch => "its `kind` differs from that of the files before it",
        _ => "its `apiVersion` differs from that of the files before it",
    };
    AccessError::UnreadableKubeconfig { file: file.to_owned(), why: why.into() }
}

/// The context asked for, or the first `current-context` of the files; it, its cluster and its user must exist.
fn context(access: &Access, config: &Kubeconfig, files: &[PathBuf]) -> Result<String, AccessError> {
    let files = files.to_vec();
    let known: Vec<String> = config.contexts.iter().map(|c| crate::words::one_line(&c.name)).collect();
    if known.is_empty() {
        return Err(AccessError::EmptyKubeconfig { files });
    }
    let current = config.current_context.as_ref().filter(|name| !name.is_empty());
    let Some(name) = access.context.as_ref().or(current) else {
        return Err(AccessError::NoCurrentContext { files, known });
    };
    let found = config.contexts.iter().find(|c| c.name == *name).and_then(|c| c.context.as_ref());
    let Some(found) = found else {
        return Err(AccessError::UnknownContext { files, wanted: crate::words::one_line(name), known });
    };
    let dangling = |what, name: &str| AccessError::DanglingContext {
        files: files.clone(),
        context: crate::words::one_line(&access.context.clone().or(current.cloned()).unwrap_or_default()),
        what,
        name: crate::words::one_line(name),
    };
    if !config.clusters.iter().any(|c| c.name == found.cluster && c.cluster.is_some()) {
        return Err(dangling("cluster", &found.cluster));
    }
    if let Some(user) = found.user.as_ref().filter(|user| !user.is_empty())
        && !config.auth_infos.iter().any(|u| u.name == *user)
    {
        return Err(dangling("user", user));
    }
    Ok(name.clone())
}
