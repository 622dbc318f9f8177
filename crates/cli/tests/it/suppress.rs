//! Findings that are accepted: by annotation, by comment, by baseline.

use crate::common::{root, watertight, watertight_with};

const ALLOW_ALL: &str = "apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, image: c}]}
";

#[test]
fn a_baseline_hides_what_it_holds_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("baseline");
    let file = file.display();
    let before = watertight("audit -f docs/examples/shop");
    assert_eq!(before.code, 1);
    let wrote = watertight(&format!("audit -f docs/examples/shop --write-baseline {file}"));
    assert_eq!(wrote.code, 0, "{}", wrote.stderr);
    assert!(wrote.stderr.contains("findings accepted for now"), "{}", wrote.stderr);
    let after = watertight(&format!("audit -f docs/examples/shop --baseline {file}"));
    assert_eq!(after.code, 0, "{}", after.stdout);
    assert!(after.stdout.contains("No findings.") && after.stdout.contains("in the baseline"), "{}", after.stdout);
    // The same manifests with lines above them: the findings are the same ones.
    let moved = folder.path().join("moved");
    std::fs::create_dir(&moved).unwrap();
    for entry in std::fs::read_dir(root().join("docs/examples/shop")).unwrap().map(Result::unwrap) {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        std::fs::write(moved.join(entry.file_name()), format!("# moved\n# down\n{text}")).unwrap();
    }
    let shifted = watertight(&format!("audit -f {} --baseline {file}", moved.display()));
    assert_eq!(shifted.code, 0, "{}", shifted.stdout);
    // Something new is shown, and what is mended is said.
    let other = watertight_with(&format!("audit -f - --baseline {file}"), ALLOW_ALL);
    assert_eq!(other.code, 1, "{}", other.stdout);
    assert!(other.stdout.contains("WT0046") && other.stderr.contains("which is mended"), "{}", other.stderr);
}

#[test]
fn a_broken_baseline_is_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("baseline");
    std::fs::write(&file, "# ok\nWT0046 not-a-fingerprint namespace shop\n").unwrap();
    let run = watertight(&format!("audit -f docs/examples/shop --baseline {}", file.display()));
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("line 2 is no line of a baseline"), "{}", run.stderr);
    assert_eq!(watertight("audit -f docs/examples/shop --baseline no/such/file").code, 3);
}

#[test]
fn an_annotation_with_a_reason_accepts_a_finding_until_its_last_day() {
    let with = |text: &str| {
        let yaml = ALLOW_ALL
            .replace("{name: shop}", &format!("{{name: shop, annotations: {{watertight.dev/ignore: \"{text}\"}}}}"));
        watertight_with("audit -f - -o json", &yaml)
    };
    let accepted = with("WT0046=a sandbox; until 2026-11-24");
    assert_eq!(accepted.code, 0, "{}", accepted.stdout);
    assert!(
        accepted.stdout.contains("\"reason\": \"a sandbox\"")
            && accepted.stdout.contains("annotation of namespace shop")
    );
    for (unsound, why) in
        [("WT0046", "without a reason"), ("WT0046=a sandbox; until 2026-11-23", "expired on 2026-11-23")]
    {
        let run = with(unsound);
        assert_eq!(run.code, 1);
        assert!(
            run.stdout.contains("WT0102") && run.stdout.contains(why) && run.stdout.contains("WT0046"),
            "{}",
            run.stdout
        );
    }
}
