//! The difference for people: a screen with everything, and a document that fits into a comment on a pull request.

use super::{ChangeView, DiffView, ShiftView};
use crate::page::{Page, Table, Text, Tone, toned};
use crate::text::{count, percent};

/// Characters of the longest comment that GitHub takes are 65,536; the rest is for what others put around it.
const DOCUMENT: usize = 60_000;
/// Rows of one table of a document, and of half, a quarter, … of it, until it fits.
const ROWS: usize = 200;
/// Characters of one cell of a document.
const CELL: usize = 400;

/// Everything.
pub(super) fn screen(view: &DiffView) -> Page {
    let mut page = Page::default();
    page.line(summary(view));
    for (heading, part) in parts(view, usize::MAX, usize::MAX) {
        page.details(heading, part);
    }
    page
}

/// As much as fits, worst first.
pub(super) fn document(view: &DiffView) -> Page {
    let mut rows = ROWS;
    loop {
        let mut page = Page::default();
        page.line(summary(view));
        for (heading, part) in parts(view, rows, CELL) {
            page.details(heading, part);
        }
        if rows == 0 || crate::render::markdown::text(&page).chars().count() <= DOCUMENT {
            return page;
        }
        rows /= 2;
    }
}

/// The answer in one line.
fn summary(view: &DiffView) -> Text {
    let s = &view.summary;
    if !view.differs() {
        return toned(Tone::Good, "nothing that can connect changes");
    }
    let mut parts: Vec<Text> = Vec::new();
    let tomorrow = |n: usize| if n > 0 { format!(" ({n} of pods created tomorrow)") } else { String::new() };
    if s.opens > 0 {
        let verb = if s.opens == 1 { "opens" } else { "open" };
        let text = format!("{} {verb}{}", count(s.opens, "connection"), tomorrow(s.opens_tomorrow));
        parts.push(toned(Tone::Bad, text));
    }
    if s.closes > 0 {
        let verb = if s.closes == 1 { "closes" } else { "close" };
        let text = format!("{} {verb}{}", count(s.closes, "connection"), tomorrow(s.closes_tomorrow));
        parts.push(toned(Tone::Good, text));
    }
    for (n, one, many) in [(s.appear, "appears", "appear"), (s.disappear, "disappears", "disappear")] {
        if n > 0 {
            parts.push(format!("{} {}", count(n, "workload"), if n == 1 { one } else { many }).into());
        }
    }
    if s.opens + s.closes == 0 {
        parts.insert(0, "no connection between what is in both changes".into());
    }
    let mean = view.blast_radius.mean;
    parts.push(format!("mean blast radius {} -> {}", percent(mean.before), percent(mean.after)).into());
    let mut out = Text::default();
    for (i, part) in parts.into_iter().enumerate() {
        if i > 0 {
            out = out.and(Tone::Plain, ", ");
        }
        out.spans.extend(part.spans);
    }
    out
}

/// Headings and what stands under them, each with at most so many rows, each cell with at most so many characters.
fn parts(view: &DiffView, rows: usize, cell: usize) -> Vec<(String, Page)> {
    let mut out = Vec::new();
    let shifts = |opens: bool| {
        let existing = view.changes.iter().filter(|c| c.exists);
        existing.flat_map(|c| c.shifts.iter().map(move |s| (c, s))).filter(move |(_, s)| s.opens == opens)
    };
    for (opens, heading) in [(true, "Opens"), (false, "Closes")] {
        let mut table = Table::new(["CHANGE", "FROM", "TO", "PORTS", "BECAUSE"]);
        shifts(opens).take(rows).for_each(|(change, shift)| table.row(row(change, shift, cell)));
        out.push((heading.to_owned(), bounded(table, shifts(opens).count(), "change")));
    }
    let mut table = Table::new(["WORKLOAD", "CHANGE", "REACHES", "REACHED BY"]);
    for w in view.workloads.iter().take(rows) {
        let with = |n: usize, outside: bool| format!("{n}{}", if outside { " and outside" } else { "" });
        table.row([
            short(&format!("{} {}", w.kind, w.workload), cell).into(),
            w.change.into(),
            with(w.reaches, w.reaches_outside).into(),
            with(w.reached_by, w.reached_from_outside).into(),
        ]);
    }
    out.push(("Workloads in one of the two only".to_owned(), bounded(table, view.workloads.len(), "workload")));
    let mut table = Table::new(["WORKLOAD", "REACHED BEFORE", "REACHES NOW"]);
    for r in view.blast_radius.workloads.iter().take(rows) {
        let words = |n: usize, share: f64| format!("{n} ({})", percent(share));
        let tone = if r.reachable.after > r.reachable.before { Tone::Bad } else { Tone::Good };
        table.row([
            short(&format!("{} {}", r.kind, r.workload), cell).into(),
            words(r.reachable.before, r.share.before).into(),
            toned(tone, words(r.reachable.after, r.share.after)),
        ]);
    }
    out.push(("Blast radius".to_owned(), bounded(table, view.blast_radius.workloads.len(), "workload")));
    out.push(("Not seen".to_owned(), not_seen(view, rows, cell)));
    out
}

/// What could change the answer and is not in it.
fn not_seen(view: &DiffView, rows: usize, cell: usize) -> Page {
    let side = |side: &str| match side {
        "both" => "in both: a change in it is not seen".to_owned(),
        side => format!("{side} only"),
    };
    let mut table = Table::new(["WHAT", "WHERE", "WHY"]);
    for p in view.not_evaluated.iter().take(rows) {
        let name = p.what.namespace.as_ref().map_or_else(|| p.what.name.clone(), |ns| format!("{ns}/{}", p.what.name));
        let name = short(&format!("{} {name}", p.what.kind), cell);
        table.row([name.into(), side(p.side).into(), "not evaluated".into()]);
    }
    for u in view.unread.iter().take(rows) {
        let of = u.what.namespace.as_ref().map_or_else(String::new, |ns| format!(" of {ns}"));
        let name = short(&format!("{}{of}", u.what.what), cell);
        table.row([name.into(), side(u.side).into(), short(&u.what.why, cell).into()]);
    }
    bounded(table, view.not_evaluated.len() + view.unread.len(), "object")
}

fn row(change: &ChangeView, shift: &ShiftView, cell: usize) -> [Text; 5] {
    let (mark, tone) = match (shift.opens, shift.after, shift.before) {
        (true, "open" | "partly", _) => ("+", Tone::Bad),
        (true, ..) => ("~", Tone::Warn),
        (false, "closed" | "partly", _) => ("-", Tone::Good),
        (false, ..) => ("~", Tone::Warn),
    };
    [
        toned(tone, format!("{mark} {}", shift.words)),
        short(&change.from.words, cell).into(),
        short(&change.to.words, cell).into(),
        short(&shift.ports.words, cell).into(),
        short(&shift.because.words(), cell).into(),
    ]
}

/// A table, and how many rows are not in it.
fn bounded(table: Table, all: usize, what: &str) -> Page {
    let mut page = Page::default();
    let more = all.saturating_sub(table.rows.len());
    page.table(table);
    if more > 0 {
        page.line(format!("and {} more: `-o json` has all", count(more, what)));
    }
    page
}

fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
