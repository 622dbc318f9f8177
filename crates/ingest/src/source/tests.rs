//! Finding files: order, what counts, what is refused.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// A directory with the given files.
fn dir(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "a: 1\n").unwrap();
    }
    dir
}

fn search(dir: &tempfile::TempDir) -> Found {
    find(&[dir.path().to_owned()], &Limits::default())
}

/// Names relative to the directory.
fn names(found: &Found, dir: &tempfile::TempDir) -> Vec<String> {
    let prefix = format!("{}/", dir.path().display());
    found.places.iter().map(|p| p.name.strip_prefix(&prefix).unwrap_or(&p.name).to_owned()).collect()
}

fn codes(found: &Found) -> Vec<&'static str> {
    found.errors.iter().map(SourceError::code).collect()
}

#[test]
fn manifests_at_any_depth_by_name_without_hidden_ones() {
    let d = dir(&[
        "b.yaml",
        "a/z.yml",
        "a/b/c.JSON",
        "c.yaml",
        "a.txt",
        "README",
        ".git/x.yaml",
        ".x.yaml",
        "a/.hide/y.yaml",
    ]);
    let found = search(&d);
    assert_eq!(names(&found, &d), ["a/b/c.JSON", "a/z.yml", "b.yaml", "c.yaml"]);
    assert_eq!((found.errors, found.skipped), (vec![], vec![]));
}

#[test]
fn a_file_may_have_any_name_and_names_stay_as_given() {
    let d = dir(&["manifest", "sub/a.yaml"]);
    let file = d.path().join("manifest");
    let mut slash = d.path().join("sub").into_os_string();
    slash.push("/");
    let found = find(&[file.clone(), slash.into()], &Limits::default());
    assert_eq!(found.places[0].name, file.to_string_lossy());
    assert_eq!(found.places[1].name, format!("{}/sub/a.yaml", d.path().display()));
    assert_eq!(read(&found.places[1], &Limits::default()).unwrap(), b"a: 1\n");
}

#[test]
fn the_order_of_the_paths_given_is_kept_and_each_file_comes_once() {
    let d = dir(&["a.yaml", "b.yaml"]);
    let b = d.path().join("b.yaml");
    let found = find(&[b.clone(), d.path().to_owned(), b], &Limits::default());
    assert_eq!(names(&found, &d), ["b.yaml", "a.yaml"]);
    assert_eq!(found.skipped.len(), 2);
    assert!(found.errors.is_empty());
    // The same directory twice is not "no manifests".
    let found = find(&[d.path().to_owned(), d.path().to_owned()], &Limits::default());
    assert_eq!((found.places.len(), found.errors.len()), (2, 0));
}

#[test]
fn standard_input_once() {
    let found = find(&["-".into()], &Limits::default());
    assert_eq!(found.places, [Place { name: "-".to_owned(), path: None }]);
    assert_eq!(codes(&find(&["-".into(), "-".into()], &Limits::default())), ["stdin-twice"]);
}

#[test]
fn nothing_there() {
    let d = dir(&[]);
    let found = search(&d);
    assert_eq!(codes(&found), ["no-manifests"]);
    assert!(found.errors[0].help().unwrap().contains("-f"));
    let d = dir(&["notes.txt", ".git/a.yaml"]);
    assert_eq!(codes(&search(&d)), ["no-manifests"]);
    let missing = d.path().join("nope.yaml");
    let found = find(std::slice::from_ref(&missing), &Limits::default());
    assert_eq!(found.errors, [SourceError::Missing { name: missing.to_string_lossy().into_owned() }]);
    assert!(found.errors[0].to_string().ends_with("nope.yaml`: no such file or directory"));
}

#[test]
fn a_helm_chart_is_one_error_and_hides_nothing_beside_it() {
    let d = dir(&["charts/web/Chart.yaml", "charts/web/values.yaml", "charts/web/templates/a.yaml", "plain/b.yaml"]);
    let found = search(&d);
    assert_eq!(names(&found, &d), ["plain/b.yaml"]);
    assert_eq!(codes(&found), ["helm-chart"]);
    assert!(found.errors[0].name().ends_with("charts/web"));
    assert!(found.errors[0].help().unwrap().contains("helm template"));
}

#[test]
fn a_kustomization_is_left_out_and_its_resources_are_read() {
    let d = dir(&["kustomization.yaml", "base/kustomization.yml", "base/a.yaml"]);
    let found = search(&d);
    assert_eq!(names(&found, &d), ["base/a.yaml"]);
    assert_eq!((found.errors.len(), found.skipped.len()), (0, 2));
    let d = dir(&["kustomization.yaml"]);
    let found = search(&d);
    assert_eq!(codes(&found), ["no-manifests"]);
    assert!(found.errors[0].help().unwrap().contains("kustomize build"));
}

#[test]
fn links_in_circles_end() {
    let d = dir(&["a/x.yaml"]);
    symlink(".", d.path().join("self")).unwrap();
    symlink("..", d.path().join("a/up")).unwrap();
    symlink("two.yaml", d.path().join("one.yaml")).unwrap();
    symlink("one.yaml", d.path().join("two.yaml")).unwrap();
    let found = search(&d);
    assert_eq!(names(&found, &d), ["a/x.yaml"]);
    assert_eq!(codes(&found), ["link-loop", "link-loop"]);
    assert_eq!(found.skipped.len(), 2);
    assert_eq!(codes(&find(&[d.path().join("one.yaml")], &Limits::default())), ["link-loop"]);
}

#[test]
fn links_to_files_are_followed_inside_and_refused_outside() {
    let outside = dir(&["secret.yaml", "more/b.yaml"]);
    let d = dir(&["..data/x.yaml"]);
    symlink("..data/x.yaml", d.path().join("x.yaml")).unwrap();
    assert_eq!(names(&search(&d), &d), ["x.yaml"]);
    symlink(outside.path().join("secret.yaml"), d.path().join("y.yaml")).unwrap();
    symlink(outside.path().join("more"), d.path().join("z")).unwrap();
    symlink(outside.path().join("secret.yaml"), d.path().join("readme")).unwrap();
    symlink("nowhere", d.path().join("w.yaml")).unwrap();
    symlink("nowhere", d.path().join("v")).unwrap();
    let found = search(&d);
    assert_eq!(names(&found, &d), ["x.yaml"]);
    assert_eq!(codes(&found), ["broken-link", "link-outside", "link-outside"]);
    assert_eq!(found.skipped.len(), 1);
    // Named by the user, a link may lead anywhere.
    let found = find(&[d.path().join("y.yaml"), d.path().join("z")], &Limits::default());
    assert_eq!((found.places.len(), found.errors.len()), (2, 0));
}

#[test]
fn fifos_sockets_and_devices_are_refused_without_opening_them() {
    let d = dir(&["a.yaml"]);
    let fifo = d.path().join("p.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(d.path().join("s.yaml")).unwrap();
    let found = search(&d);
    assert_eq!(names(&found, &d), ["a.yaml"]);
    let messages: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
    assert!(messages[0].ends_with("p.yaml` is a named pipe, not a file"), "{messages:?}");
    assert!(messages[1].ends_with("s.yaml` is a socket, not a file"), "{messages:?}");
    assert!(found.errors[0].help().unwrap().contains("-f -"));
    let found = find(&["/dev/zero".into(), fifo.clone()], &Limits::default());
    assert_eq!(found.errors[0].to_string(), "`/dev/zero` is a device, not a file");
    assert_eq!(codes(&found), ["not-a-file", "not-a-file"]);
    // A FIFO that took the place of a file after the search neither blocks nor reads as empty.
    let place = Place { name: "p".to_owned(), path: Some(fifo) };
    assert_eq!(read(&place, &Limits::default()).unwrap_err().code(), "not-a-file");
}

#[test]
fn unreadable_files_and_directories() {
    let d = dir(&["a.yaml", "sub/b.yaml"]);
    let (file, sub) = (d.path().join("a.yaml"), d.path().join("sub"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(&sub, fs::Permissions::from_mode(0o000)).unwrap();
    let found = search(&d);
    // The superuser can read everything: then there is nothing to refuse.
    if fs::read_dir(&sub).is_err() {
        assert_eq!(codes(&found), ["unreadable-file"]);
        let error = read(&found.places[0], &Limits::default()).unwrap_err();
        assert!(error.to_string().ends_with("a.yaml` cannot be read: permission denied"), "{error}");
    } else {
        assert_eq!(names(&found, &d), ["a.yaml", "sub/b.yaml"]);
    }
    fs::set_permissions(&sub, fs::Permissions::from_mode(0o755)).unwrap();
    let denied = io::Error::from(io::ErrorKind::PermissionDenied);
    assert_eq!(SourceError::of_io("x", &denied).to_string(), "`x` cannot be read: permission denied");
}

#[test]
fn budgets() {
    let d = dir(&["a.yaml", "b.yaml", "c.yaml"]);
    let limits = Limits { max_files: 2, ..Limits::default() };
    let found = find(&[d.path().to_owned()], &limits);
    assert_eq!(names(&found, &d), ["a.yaml", "b.yaml"]);
    assert_eq!(codes(&found), ["too-many-files"]);
    assert!(find(&[d.path().to_owned()], &Limits { max_files: 3, ..Limits::default() }).errors.is_empty());
    let place = &found.places[0];
    assert!(read(place, &Limits { max_bytes: 5, ..Limits::default() }).is_ok());
    assert_eq!(read(place, &Limits { max_bytes: 4, ..Limits::default() }).unwrap_err().code(), "too-large");
}

#[test]
fn a_directory_named_like_a_manifest_is_walked() {
    let d = dir(&["x.yaml/y.yaml"]);
    assert_eq!(names(&search(&d), &d), ["x.yaml/y.yaml"]);
}
