//! The documentation: nothing that cannot be found, no link that leads nowhere.

use crate::tree::{File, files, report, root};

fn markdown() -> Vec<File> {
    files().into_iter().filter(|f| f.is("md")).collect()
}

/// Targets of the links of a page, without those in code blocks.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let mut code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        for part in line.split("](").skip(1) {
            if let Some((target, _)) = part.split_once(')') {
                out.push((number + 1, target.to_owned()));
            }
        }
    }
    out
}

#[test]
fn links_lead_somewhere() {
    let mut complaints = Vec::new();
    for page in markdown() {
        let folder = root().join(&page.path).parent().unwrap().to_owned();
        for (number, link) in links(&page.text) {
            let target = link.split('#').next().unwrap_or_default();
            let outside = link.contains("://") || link.starts_with("mailto:");
            if !outside && !target.is_empty() && !folder.join(target).exists() {
                complaints.push(format!("{}:{number}: `{link}` does not exist", page.path));
            }
        }
    }
    report("links", &complaints);
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = std::fs::read_to_string(root().join("docs/README.md")).unwrap();
    let linked: Vec<String> = links(&contents).into_iter().map(|(_, link)| link).collect();
    let complaints: Vec<String> = markdown()
        .iter()
        .filter_map(|f| f.path.strip_prefix("docs/"))
        .filter(|page| *page != "README.md" && !linked.iter().any(|l| l.split('#').next() == Some(*page)))
        .map(|page| format!("docs/{page}: link it from docs/README.md"))
        .collect();
    report("table of contents", &complaints);
}

#[test]
fn the_front_page_leads_to_the_house_files() {
    let front = std::fs::read_to_string(root().join("README.md")).unwrap();
    for file in ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE", "docs/README.md"] {
        assert!(root().join(file).exists(), "{file} is missing");
        assert!(front.contains(&format!("]({file})")), "README.md does not lead to {file}");
    }
    for command in ["./dev demo", "./dev test"] {
        assert!(front.contains(command), "README.md does not name `{command}`");
    }
}

/// Pages that are written from code: path, text.
fn generated() -> [(&'static str, String); 1] {
    [("docs/lints.md", watertight_audit::catalogue::markdown())]
}

#[test]
fn generated_pages_are_fresh() {
    let update = std::env::var_os("WATERTIGHT_UPDATE").is_some();
    let mut complaints = Vec::new();
    for (path, text) in generated() {
        let place = root().join(path);
        if std::fs::read_to_string(&place).is_ok_and(|committed| committed == text) {
            continue;
        }
        if update {
            std::fs::write(place, text).unwrap();
        } else {
            complaints.push(format!("{path}: run `WATERTIGHT_UPDATE=1 cargo test -p watertight-tidy`"));
        }
    }
    report("generated pages", &complaints);
}
