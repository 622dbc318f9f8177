//! JUnit's XML, as Jenkins, GitLab and others read it: one suite, one case per item. A finding is a failed case, one that is
//! accepted is skipped with its reason. If there is nothing to report, one passed case says so: several readers take an empty
//! suite for a broken one.

use super::results::{Item, Outcome, Results};
use super::xml::escaped;
use crate::text::clean;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Writes the suite.
pub fn write(results: &Results, out: &mut dyn Write) -> io::Result<()> {
    let number = |what: fn(&Outcome) -> bool| results.items.iter().filter(|i| what(&i.outcome)).count();
    let failures = number(|o| matches!(o, Outcome::Fail));
    let errors = number(|o| matches!(o, Outcome::Error));
    let skipped = number(|o| matches!(o, Outcome::Suppressed(_) | Outcome::Baselined));
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"",
        results.items.len().max(1)
    );
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"watertight\" {counts}>")?;
    writeln!(out, "  <testsuite name=\"{}\" {counts}>", results.name(" "))?;
    if results.items.is_empty() {
        writeln!(out, "    <testcase classname=\"watertight\" name=\"no findings\"/>")?;
    }
    // Readers tell cases apart by class and name.
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    for item in &results.items {
        let class = format!("{} {}", item.rule, item.name).trim_end().to_owned();
        let name = if item.object.is_empty() { item.message.clone() } else { item.object.clone() };
        let nth = seen.entry((class.clone(), name.clone())).or_default();
        *nth += 1;
        let name = if *nth > 1 { format!("{name} ({nth})") } else { name };
        case(item, &class, &name, out)?;
    }
    out.write_all(b"  </testsuite>\n</testsuites>\n")
}

fn case(item: &Item, class: &str, name: &str, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "    <testcase classname=\"{}\" name=\"{}\"", escaped(class), escaped(name))?;
    if let Some(place) = &item.place {
        write!(out, " file=\"{}\" line=\"{}\"", escaped(&place.file), place.line)?;
    }
    let (tag, kind) = match &item.outcome {
        Outcome::Pass => return out.write_all(b"/>\n"),
        Outcome::Suppressed(reason) => {
            return writeln!(out, "><skipped message=\"{}\"/></testcase>", escaped(&format!("suppressed: {reason}")));
        }
        Outcome::Baselined => return out.write_all(b"><skipped message=\"in the baseline\"/></testcase>\n"),
        Outcome::Fail => ("failure", item.level.name()),
        Outcome::Error => ("error", "error"),
    };
    let place =
        item.place.as_ref().map_or_else(String::new, |p| format!("{}:{}:{}\n", clean(&p.file), p.line, p.column));
    let help = item.help.as_ref().map_or_else(String::new, |help| format!("\nhelp: {}", clean(help)));
    let sentence = item.sentence();
    writeln!(
        out,
        "><{tag} type=\"{kind}\" message=\"{}\">{}</{tag}></testcase>",
        escaped(&sentence),
        super::xml::lines(&format!("{place}{sentence}{help}"))
    )
}
