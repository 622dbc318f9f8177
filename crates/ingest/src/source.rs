//! Finding inputs: paths as the user gave them to files, in an order that never changes.
//!
//! In: paths (a file of any name, a directory, `-`). Out: [`Place`]s to read one at a time with [`read`], and what is
//! wrong or was left out. Never blocks on a FIFO, never walks in circles, never opens a device.
//! Does not: look at the text.
//!
//! Below a directory:
//! * Files ending in `.yaml`, `.yml`, `.json` count, at any depth, by name; names that begin with a dot do not.
//! * Links to files are followed if they stay below the directory that the user named; one that leaves it is an error, so
//!   that nobody can make a foreign file appear in the output. Links to directories below it are left out: their files
//!   are found where they are.
//! * A Helm chart is an error: its templates are no manifests before they are rendered. A `kustomization.yaml` is left out.

mod error;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use error::SourceError;

use crate::limits::Limits;

/// One input that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The path as the user gave it, with `/` and the rest for what lies below a directory; `-` for standard input.
    pub name: String,
    /// Where to read it; none for standard input.
    pub path: Option<PathBuf>,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// Inputs: in the order of the paths given, and sorted by name below each directory. Each file once.
    pub places: Vec<Place>,
    /// What cannot be read.
    pub errors: Vec<SourceError>,
    /// Files left out on purpose, with the reason: `(name, reason)`.
    pub skipped: Vec<(String, String)>,
}

/// Finds the inputs that `paths` stand for.
pub fn find(paths: &[PathBuf], limits: &Limits) -> Found {
    let mut search = Search { limits, found: Found::default(), seen: BTreeSet::new(), full: false };
    for path in paths {
        search.given(path);
    }
    search.found
}

/// Reads one place whole, up to [`Limits::max_bytes`]; more is an error.
pub fn read(place: &Place, limits: &Limits) -> Result<Vec<u8>, SourceError> {
    match &place.path {
        None => read_all(io::stdin().lock(), &place.name, limits),
        Some(path) => {
            let file = open(path).map_err(|e| SourceError::of_io(&place.name, &e))?;
            // Asked of the open file: what stood there when it was found may have been replaced.
            let kind = file.metadata().map_err(|e| SourceError::of_io(&place.name, &e))?.file_type();
            if !kind.is_file() {
                return Err(SourceError::NotAFile { name: place.name.clone(), kind: kind_name(kind) });
            }
            read_all(file, &place.name, limits)
        }
    }
}

fn read_all(from: impl Read, name: &str, limits: &Limits) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    from.take(limits.max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| SourceError::of_io(name, &e))?;
    if bytes.len() as u64 > limits.max_bytes {
        return Err(SourceError::TooLarge { name: name.to_owned(), limit: limits.max_bytes });
    }
    Ok(bytes)
}

/// Opens without waiting for anyone to write: a FIFO could have taken the file's place.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // O_NONBLOCK of <fcntl.h>.
        options.custom_flags(if cfg!(target_os = "linux") { 0o4000 } else { 0x4 });
    }
    options.open(path)
}

struct Search<'l> {
    limits: &'l Limits,
    found: Found,
    /// Canonical paths of the files found.
    seen: BTreeSet<PathBuf>,
    /// The file budget is spent.
    full: bool,
}

impl Search<'_> {
    fn given(&mut self, path: &Path) {
        let name = path.to_string_lossy().into_owned();
        if name == "-" {
            if self.found.places.iter().any(|p| p.path.is_none()) {
                self.found.errors.push(SourceError::StdinTwice);
            } else {
                self.found.places.push(Place { name, path: None });
            }
            return;
        }
        match fs::metadata(path) {
            Err(error) => {
                let error = if error.kind() == io::ErrorKind::NotFound && path.is_symlink() {
                    SourceError::BrokenLink { name }
                } else {
                    SourceError::of_io(&name, &error)
                };
                self.found.errors.push(error);
            }
            Ok(data) if data.is_dir() => self.directory(path, &name),
            Ok(data) if data.is_file() => self.file(path, name),
            Ok(data) => {
                self.found.errors.push(SourceError::NotAFile { name, kind: kind_name(data.file_type()) });
            }
        }
    }

    fn file(&mut self, path: &Path, name: String) {
        if self.full {
            return;
        }
        match path.canonicalize() {
            Err(error) => self.found.errors.push(SourceError::of_io(&name, &error)),
            Ok(real) if !self.seen.insert(real.clone()) => {
                self.found.skipped.push((name, "the same file was found before".to_owned()));
            }
            Ok(_) if self.found.places.len() >= self.limits.max_files => {
                self.full = true;
                self.found.errors.push(SourceError::TooManyFiles { name, limit: self.limits.max_files });
            }
            Ok(_) => self.found.places.push(Place { name, path: Some(path.to_owned()) }),
        }
    }

    fn directory(&mut self, root: &Path, name: &str) {
        let before = (self.found.places.len(), self.found.errors.len(), self.found.skipped.len());
        match root.canonicalize() {
            Err(error) => self.found.errors.push(SourceError::of_io(name, &error)),
            Ok(real_root) => {
                let base = name.trim_end_matches('/');
                let base = if base.is_empty() && name.starts_with('/') { "" } else { base };
                self.walk(root, base, &real_root);
            }
        }
        if (self.found.places.len(), self.found.errors.len()) == (before.0, before.1) {
            let skipped = &self.found.skipped[before.2..];
            let again = skipped.iter().any(|(_, reason)| reason.contains("found before"));
            if !again {
                let kustomize = skipped.iter().any(|(name, _)| is_kustomization(Path::new(name).file_name()));
                self.found.errors.push(SourceError::NoManifests { name: name.to_owned(), kustomize });
            }
        }
    }

    /// Directories below one another are kept on a stack of our own: their depth is the user's to choose.
    fn walk(&mut self, root: &Path, base: &str, real_root: &Path) {
        let mut stack = vec![(root.to_owned(), base.to_owned())];
        while let Some((path, name)) = stack.pop() {
            if self.full {
                return;
            }
            let kind = if path == root {
                // The user named it: links to it are fine.
                fs::metadata(&path).map(|d| d.file_type())
            } else {
                fs::symlink_metadata(&path).map(|d| d.file_type())
            };
            match kind {
                Err(error) => self.found.errors.push(SourceError::of_io(&name, &error)),
                Ok(kind) if kind.is_dir() => match self.list(&path, &name) {
                    Err(error) => self.found.errors.push(SourceError::of_io(&name, &error)),
                    Ok(entries) => stack.extend(entries.into_iter().rev()),
                },
                Ok(kind) if kind.is_symlink() => self.link(&path, name, real_root),
                Ok(_) if !is_manifest(&path) => {}
                Ok(_) if is_kustomization(path.file_name()) => {
                    self.found.skipped.push((name, "a kustomization is no manifest".to_owned()));
                }
                Ok(kind) if kind.is_file() => self.file(&path, name),
                Ok(kind) => self.found.errors.push(SourceError::NotAFile { name, kind: kind_name(kind) }),
            }
        }
    }

    /// What a directory holds, by name; nothing if it is a Helm chart, which is an error.
    fn list(&mut self, path: &Path, name: &str) -> io::Result<Vec<(PathBuf, String)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(path)? {
            let file = entry?.file_name();
            if !file.as_encoded_bytes().starts_with(b".") {
                files.push(file);
            }
        }
        files.sort();
        if files.iter().any(|f| f == "Chart.yaml") {
            self.found.errors.push(SourceError::HelmChart { name: name.to_owned() });
            return Ok(Vec::new());
        }
        Ok(files.into_iter().map(|f| (path.join(&f), format!("{name}/{}", f.to_string_lossy()))).collect())
    }

    /// A link below a directory.
    fn link(&mut self, path: &Path, name: String, real_root: &Path) {
        let manifest = is_manifest(path);
        match path.canonicalize() {
            Err(error) if manifest => self.found.errors.push(match error.kind() {
                io::ErrorKind::NotFound => SourceError::BrokenLink { name },
                _ => SourceError::of_io(&name, &error),
            }),
            Err(_) => self.found.skipped.push((name, "a link that leads nowhere".to_owned())),
            Ok(real) => {
                let Ok(data) = fs::metadata(&real) else { return };
                if !manifest && !data.is_dir() {
                    return;
                }
                if !real.starts_with(real_root) {
                    self.found.errors.push(SourceError::LinkOutside { name });
                } else if data.is_dir() {
                    self.found.skipped.push((name, "a link to a directory that is read where it is".to_owned()));
                } else if is_kustomization(path.file_name()) {
                    self.found.skipped.push((name, "a kustomization is no manifest".to_owned()));
                } else if data.is_file() {
                    self.file(path, name);
                } else {
                    self.found.errors.push(SourceError::NotAFile { name, kind: kind_name(data.file_type()) });
                }
            }
        }
    }
}

/// A name that is read below a directory.
pub fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|e| ["yaml", "yml", "json"].iter().any(|known| e.eq_ignore_ascii_case(known)))
}

/// A name that is left out below a directory.
pub fn is_kustomization(name: Option<&OsStr>) -> bool {
    name.is_some_and(|n| n == "kustomization.yaml" || n == "kustomization.yml")
}

fn kind_name(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if kind.is_dir() { "a directory" } else { "no regular file" }
}
