use super::*;
use std::os::unix::fs::PermissionsExt;

const LIST: &str =
    r#"{"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge", "mtu": 1450}, {"type": "portmap"}]}"#;

struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        ["bin", "conf"].iter().for_each(|d| std::fs::create_dir(host.0.path().join(d)).unwrap());
        std::fs::write(host.0.path().join("program"), "one").unwrap();
        host
    }

    fn node(&self) -> Node {
        let at = |name: &str| self.0.path().join(name);
        let name = Some("n1".to_owned());
        Node { program: at("program"), bin: at("bin"), conf: at("conf"), name, fail_open: false }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join("conf").join(name), text).unwrap();
    }

    fn types(&self, name: &str) -> Vec<String> {
        let list = read(&self.0.path().join("conf").join(name)).unwrap();
        list["plugins"].as_array().unwrap().iter().map(|p| p["type"].as_str().unwrap().to_owned()).collect()
    }

    fn files(&self, of: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path().join(of)).unwrap().flatten();
        let mut all: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        all.sort();
        all
    }
}

#[test]
fn it_goes_to_the_end_of_the_list_that_runtimes_use_and_out_again() {
    let host = Host::new();
    host.write("10-net.conflist", LIST);
    host.write("20-other.conflist", LIST);
    install(&host.node()).unwrap();
    assert_eq!(host.types("10-net.conflist"), ["bridge", "portmap", NAME]);
    assert_eq!(host.types("20-other.conflist"), ["bridge", "portmap"], "that one is not used");
    let list = read(&host.0.path().join("conf/10-net.conflist")).unwrap();
    assert_eq!((&list["plugins"][0]["mtu"], &list["plugins"][2]["node"]), (&1450.into(), &"n1".into()));
    let program = host.0.path().join("bin").join(NAME);
    assert_eq!(std::fs::read(&program).unwrap(), b"one");
    assert_eq!(std::fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(host.files("conf"), ["10-net.conflist", "20-other.conflist"], "nothing half written is left");
    let said = remove(&host.node()).unwrap();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(
        read(&host.0.path().join("conf/10-net.conflist")).unwrap(),
        serde_json::from_str::<Value>(LIST).unwrap()
    );
    assert_eq!(host.files("bin"), Vec::<String>::new());
    assert_eq!(remove(&host.node()).unwrap(), Vec::<String>::new(), "again is no fault");
}

#[test]
fn it_is_there_once_and_last_whatever_others_write() {
    let host = Host::new();
    host.write("10-net.conflist", LIST);
    install(&host.node()).unwrap();
    let path = host.0.path().join("conf/10-net.conflist");
    let changed = || std::fs::metadata(&path).unwrap().modified().unwrap();
    let before = changed();
    install(&host.node()).unwrap();
    assert_eq!(changed(), before, "what is right is not written again");
    // The network's own installer writes its list anew.
    host.write("10-net.conflist", LIST);
    install(&host.node()).unwrap();
    assert_eq!(host.types("10-net.conflist"), ["bridge", "portmap", NAME]);
    // Someone else appends.
    let text = std::fs::read_to_string(&path).unwrap();
    let mut list: Value = serde_json::from_str(&text).unwrap();
    plugins(&mut list).unwrap().push(serde_json::json!({ "type": "tuning" }));
    host.write("10-net.conflist", &list.to_string());
    install(&Node { fail_open: true, ..host.node() }).unwrap();
    assert_eq!(host.types("10-net.conflist"), ["bridge", "portmap", "tuning", NAME]);
    assert_eq!(read(&path).unwrap()["plugins"][3]["failOpen"], true);
    std::fs::write(host.0.path().join("program"), "two").unwrap();
    install(&host.node()).unwrap();
    assert_eq!(std::fs::read(host.0.path().join("bin").join(NAME)).unwrap(), b"two", "an upgrade");
}

#[test]
fn what_cannot_be_followed_is_named_and_left_as_it_is() {
    let host = Host::new();
    let none = install(&host.node()).unwrap_err();
    assert!(none.contains("no network in") && none.ends_with(" yet"), "{none}");
    for (name, text, why) in [
        ("00-one.conf", r#"{"type": "bridge"}"#, "a single plugin"),
        ("00-bad.conflist", "{", "is not understood"),
        ("00-empty.conflist", r#"{"plugins": []}"#, "no plugin that makes a network"),
        ("00-none.conflist", r#"{"name": "x"}"#, "has no list of plugins"),
    ] {
        host.write(name, text);
        let error = install(&host.node()).unwrap_err();
        assert!(error.contains(why), "{error}");
        assert_eq!(std::fs::read_to_string(host.0.path().join("conf").join(name)).unwrap(), text);
        std::fs::remove_file(host.0.path().join("conf").join(name)).unwrap();
    }
}

#[test]
fn a_list_that_others_may_not_read_stays_so() {
    let host = Host::new();
    host.write("10-net.conflist", LIST);
    let path = host.0.path().join("conf/10-net.conflist");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    install(&host.node()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
