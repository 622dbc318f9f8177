//! The files of a Git revision, read by the user's own `git`: no checkout, no shell, no network, nothing written.
//!
//! In: what the user calls a revision, and paths. Out: texts named `REVISION:path`. A revision is turned into an object id before
//! anything else is asked, so that its name never stands where an option could. Hooks, filters, text conversion, replacement
//! objects and lazy fetches are off: what a repository's configuration could start is not started.

use crate::exit::{Exit, Failure};
use crate::text::clean;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use watertight_ingest::{Input, Limits, source};

/// The two sides of `BASE`, `BASE..HEAD` and `BASE...HEAD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Before.
    pub base: String,
    /// After; `None`: the files as they are.
    pub head: Option<String>,
    /// Before is where the two parted (three dots).
    pub merge_base: bool,
}

impl std::str::FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (base, head, merge_base) = match (text.split_once("..."), text.split_once("..")) {
            (Some((base, head)), _) => (base, Some(head), true),
            (None, Some((base, head))) => (base, Some(head), false),
            (None, None) => (text, None, false),
        };
        // As git: an end that is left out is where we stand.
        let or_head = |name: &str| if name.is_empty() { "HEAD".to_owned() } else { name.to_owned() };
        if text.is_empty() || text == ".." || text == "..." {
            return Err("want BASE, BASE..HEAD or BASE...HEAD".to_owned());
        }
        let range = Self { base: or_head(base), head: head.map(or_head), merge_base };
        range.head.iter().chain([&range.base]).try_for_each(|name| plausible(name))?;
        Ok(range)
    }
}

/// Refuses what is no name of a revision and could be taken for something else.
fn plausible(name: &str) -> Result<(), String> {
    /// Longest name; git's own limit for a path is 4,096.
    const LONGEST: usize = 1024;
    match name {
        _ if name.len() > LONGEST => Err(format!("a revision's name is longer than {LONGEST} bytes")),
        _ if name.starts_with('-') => Err(format!("`{}` is no revision: it begins with a dash", clean(name))),
        _ if name.contains(|c: char| c.is_control() || c.is_whitespace() || c == ':' || c == '\\') => {
            Err(format!("`{}` is no revision: it holds a character that none has", clean(name)))
        }
        _ => Ok(()),
    }
}

/// A repository.
pub struct Repository {
    top: PathBuf,
    /// Where we stand below [`Self::top`], in Git's spelling; empty or ending in a slash.
    prefix: String,
}

/// A file of a tree.
struct Entry {
    id: String,
    path: String,
}

impl Repository {
    /// The one that holds the current directory.
    ///
    /// # Errors
    /// There is no `git`, or no repository.
    pub fn here() -> Result<Self, Failure> {
        let top = line(&["rev-parse", "--show-toplevel"])?;
        let prefix = line(&["rev-parse", "--show-prefix"])?;
        Ok(Self { top: PathBuf::from(top), prefix })
    }

    /// The commit that a name stands for.
    ///
    /// # Errors
    /// There is none.
    pub fn commit(&self, name: &str) -> Result<String, Failure> {
        plausible(name).map_err(|why| Failure::new(Exit::BadInput, "git-revision", why, None))?;
        let id = line(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]).map_err(|failure| {
            if failure.diagnostics.iter().any(|d| d.code == "git-missing") {
                return failure;
            }
            let help = "fetch it first: a shallow clone holds few revisions (`git fetch origin BRANCH`)";
            Failure::new(Exit::BadInput, "git-revision", format!("no revision `{name}` here"), Some(help.to_owned()))
        })?;
        if is_id(&id) { Ok(id) } else { Err(answer("rev-parse")) }
    }

    /// Where two commits parted.
    ///
    /// # Errors
    /// They have no common ancestor here.
    pub fn merge_base(&self, a: &str, b: &str) -> Result<String, Failure> {
        let id = line(&["merge-base", a, b]).map_err(|_| {
            let help = "a shallow clone may not hold it: `git fetch --unshallow`";
            Failure::new(Exit::BadInput, "git-revision", "the two have no common ancestor here", Some(help.to_owned()))
        })?;
        if is_id(&id) { Ok(id) } else { Err(answer("merge-base")) }
    }

    /// A path as Git spells it, from the top of the repository; empty for the top itself.
    ///
    /// # Errors
    /// It is outside.
    fn inside(&self, path: &Path) -> Result<String, Failure> {
        let shown = path.display();
        let outside = || {
            let help = "with --git, paths are of the repository of the current directory";
            Failure::new(Exit::BadInput, "git-path", format!("`{shown}` is outside the repository"), Some(help.into()))
        };
        let full = if path.is_absolute() {
            path.strip_prefix(&self.top).map_err(|_| outside())?.to_owned()
        } else {
            Path::new(&self.prefix).join(path)
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in full.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    parts.pop().ok_or_else(outside)?;
                }
                Component::Normal(name) => parts.push(name.to_str().ok_or_else(outside)?),
                Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        Ok(parts.join("/"))
    }

    /// The manifests of a commit at or below these paths, with the rules of files below a directory: YAML and JSON, no hidden
    /// names. `name` stands for the commit in what is printed. The second value names what was passed over, with the reason.
    ///
    /// # Errors
    /// A path is outside the repository, something is too large, a Helm chart is among it, or git fails.
    pub fn read(&self, commit: &str, name: &str, paths: &[PathBuf]) -> Result<(Vec<Input>, Vec<String>), Failure> {
        let limits = Limits::default();
        let mut wanted: Vec<String> = paths.iter().map(|p| self.inside(p)).collect::<Result<_, _>>()?;
        wanted.sort();
        wanted.dedup();
        let (entries, passed) = self.list(commit, name, &wanted, &limits)?;
        let texts = contents(&entries, &limits)?;
        let inputs = entries.iter().zip(texts).map(|(entry, text)| {
            text.map(|text| Input::Text { name: format!("{name}:{}", entry.path), text }).map_err(|_| {
                let message = format!("`{name}:{}` is not UTF-8 text", entry.path);
                Failure::new(Exit::BadInput, "utf-8", message, None)
            })
        });
        Ok((inputs.collect::<Result<_, _>>()?, passed))
    }

    fn list(
        &self,
        commit: &str,
        name: &str,
        wanted: &[String],
        limits: &Limits,
    ) -> Result<(Vec<Entry>, Vec<String>), Failure> {
        let mut args = vec!["ls-tree", "-r", "-z", "--full-tree", commit, "--"];
        let all = wanted.iter().any(String::is_empty);
        if !all {
            args.extend(wanted.iter().map(String::as_str));
        }
        let listing = String::from_utf8(output(&args)?).map_err(|_| {
            Failure::new(Exit::BadInput, "utf-8", format!("a file name of `{name}` is not UTF-8"), None)
        })?;
        let (mut entries, mut passed) = (Vec::new(), Vec::new());
        for row in listing.split('\0').filter(|row| !row.is_empty()) {
            let (head, path) = row.split_once('\t').ok_or_else(|| answer("ls-tree"))?;
            let fields: Vec<&str> = head.split(' ').collect();
            let [mode, _, id] = fields.as_slice() else { return Err(answer("ls-tree")) };
            let file = Path::new(path);
            let named = wanted.iter().any(|w| w == path);
            let below = wanted.iter().filter_map(|w| path.strip_prefix(w.as_str())).map(str::len).min();
            let hidden = path[path.len() - below.unwrap_or(path.len())..].split('/').any(|part| part.starts_with('.'));
            if file.file_name().is_some_and(|n| n == "Chart.yaml") && !named {
                let help = "render it: `helm template` into a directory, then diff the two directories";
                let message = format!("`{name}:{path}` belongs to a Helm chart: its templates are no manifests");
                return Err(Failure::new(Exit::BadInput, "helm-chart", message, Some(help.to_owned())));
            }
            if !named && (hidden || !source::is_manifest(file)) {
                continue;
            }
            match *mode {
                "100644" | "100755" | "100664" if source::is_kustomization(file.file_name()) && !named => {
                    passed.push(format!("`{name}:{path}` is a kustomization, no manifest"));
                }
                "100644" | "100755" | "100664" if is_id(id) => {
                    entries.push(Entry { id: (*id).to_owned(), path: path.to_owned() });
                }
                "120000" => passed.push(format!("`{name}:{path}` is a link")),
                _ => passed.push(format!("`{name}:{path}` is no file")),
            }
            if entries.len() > limits.max_files {
                let message = format!("`{name}` holds more than {} manifests there", limits.max_files);
                return Err(Failure::new(Exit::BadInput, "too-many-files", message, None));
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((entries, passed))
    }
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The bytes of objects, in their order, by one `git cat-file --batch`. Sizes are looked at before anything is read.
fn contents(entries: &[Entry], limits: &Limits) -> Result<Vec<Result<String, std::string::FromUtf8Error>>, Failure> {
    let mut child = command(&["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| missing(&e))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else { return Err(answer("cat-file")) };
    let read = std::thread::scope(|scope| {
        // Written beside the reading: both pipes are small.
        let ids: Vec<&str> = entries.iter().map(|e| e.id.as_str()).collect();
        scope.spawn(move || {
            // A git that ended early shows in what it did not answer.
            let _ = ids.iter().try_for_each(|id| writeln!(stdin, "{id}"));
        });
        objects(BufReader::new(stdout), entries, limits)
    });
    if read.is_err() {
        // It may wait for someone to read the rest.
        let _ = child.kill();
    }
    let _ = child.wait();
    read
}

fn objects(
    mut from: impl BufRead,
    entries: &[Entry],
    limits: &Limits,
) -> Result<Vec<Result<String, std::string::FromUtf8Error>>, Failure> {
    let (mut out, mut total) = (Vec::with_capacity(entries.len()), 0u64);
    for entry in entries {
        let mut head = String::new();
        // `<id> blob <size>`: longer is something else.
        (&mut from).take(256).read_line(&mut head).map_err(|_| answer("cat-file"))?;
        let fields: Vec<&str> = head.trim_end().split(' ').collect();
        let size = match fields.as_slice() {
            [_, "blob", size] => size.parse::<u64>().map_err(|_| answer("cat-file"))?,
            [_, "missing"] => {
                let help = "a partial clone leaves files out: check the revision out once, or clone without a filter";
                let message = format!("git does not have the content of `{}`", entry.path);
                return Err(Failure::new(Exit::BadInput, "git-object", message, Some(help.to_owned())));
            }
            _ => return Err(answer("cat-file")),
        };
        total += size;
        if size > limits.max_bytes || total > limits.max_total_bytes {
            let message = format!("`{}` is too large, or with the files before it", entry.path);
            return Err(Failure::new(Exit::BadInput, "too-large", message, None));
        }
        let mut bytes = Vec::new();
        (&mut from).take(size + 1).read_to_end(&mut bytes).map_err(|_| answer("cat-file"))?;
        if bytes.pop() != Some(b'\n') || bytes.len() as u64 != size {
            return Err(answer("cat-file"));
        }
        out.push(String::from_utf8(bytes));
    }
    Ok(out)
}

/// `git` with everything off that a repository could make it do.
fn command(args: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.args(["--no-pager", "--literal-pathspecs", "--no-replace-objects", "--no-optional-locks"]);
    git.args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false"]);
    git.args(args);
    git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C").stdin(Stdio::null());
    git
}

fn output(args: &[&str]) -> Result<Vec<u8>, Failure> {
    let done = command(args).output().map_err(|e| missing(&e))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said = said.lines().next().unwrap_or("no reason given").trim_start_matches("fatal: ");
    let help = "run it inside the repository that holds the manifests, or compare two directories";
    Err(Failure::new(Exit::BadInput, "git", format!("git: {said}"), Some(help.to_owned())))
}

/// The one line that a command answers.
fn line(args: &[&str]) -> Result<String, Failure> {
    let text = String::from_utf8(output(args)?).map_err(|_| answer(args[0]))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

fn missing(error: &std::io::Error) -> Failure {
    let help = "install git, or compare two directories: `watertight diff OLD NEW`";
    Failure::new(Exit::Unreachable, "git-missing", format!("cannot run `git`: {error}"), Some(help.to_owned()))
}

/// An answer of git's that is not understood is refused, not guessed at.
fn answer(what: &str) -> Failure {
    Failure::new(Exit::BadInput, "git", format!("the answer of `git {what}` is not understood"), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let range = |base: &str, head: Option<&str>, merge_base| {
            Ok(Range { base: base.to_owned(), head: head.map(str::to_owned), merge_base })
        };
        assert_eq!("main".parse(), range("main", None, false));
        assert_eq!("main..feature/x".parse(), range("main", Some("feature/x"), false));
        assert_eq!("main...".parse(), range("main", Some("HEAD"), true));
        assert_eq!("v1.0~2^{commit}..HEAD@{1}".parse(), range("v1.0~2^{commit}", Some("HEAD@{1}"), false));
        for bad in ["", "..", "...", "--output=x", "main..--upload-pack=x", "-", "a b", "a\nb", "HEAD:secret", "a\\b"] {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
        assert!("x".repeat(2000).parse::<Range>().is_err());
    }

    #[test]
    fn paths_stay_inside() {
        let here = Repository { top: PathBuf::from("/repo"), prefix: "sub/".to_owned() };
        let inside = |path: &str| here.inside(Path::new(path)).ok();
        assert_eq!(inside("deploy/"), Some("sub/deploy".to_owned()));
        assert_eq!(inside("./../x/./y.yaml"), Some("x/y.yaml".to_owned()));
        assert_eq!(inside(".."), Some(String::new()));
        assert_eq!(inside("/repo/deploy"), Some("deploy".to_owned()));
        for outside in ["../..", "/etc/passwd", "/repository", "../../repo/x"] {
            assert_eq!(inside(outside), None, "{outside}");
        }
    }

    fn answered(text: &str) -> Result<Vec<String>, &'static str> {
        let entry = Entry { id: "0".repeat(40), path: "a.yaml".to_owned() };
        let limits = Limits { max_bytes: 8, ..Limits::default() };
        match objects(text.as_bytes(), &[entry], &limits) {
            Ok(texts) => Ok(texts.into_iter().flatten().collect()),
            Err(failure) => Err(failure.diagnostics[0].code),
        }
    }

    #[test]
    fn answers_are_checked() {
        let id = "0".repeat(40);
        assert_eq!(answered(&format!("{id} blob 2\nhi\n")), Ok(vec!["hi".to_owned()]));
        assert_eq!(answered(&format!("{id} blob 3\nhi\n")), Err("git"), "cut off");
        assert_eq!(answered(&format!("{id} blob 9\n123456789\n")), Err("too-large"));
        assert_eq!(answered(&format!("{id} missing\n")), Err("git-object"));
        assert_eq!(answered(&format!("{id} tree 2\nhi\n")), Err("git"));
        assert_eq!(answered(""), Err("git"));
    }
}
