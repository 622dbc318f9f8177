//! What can connect after and could not before, and the other way round.

mod page;
mod words;

use super::shared::{PortList, Shared};
use super::{ForeignView, Head, PartyView, PortView, UnreadView, cidrs, port_words, ports};
use crate::page::Page;
use crate::render::{Format, Report};
use serde::Serialize;
use std::collections::HashMap;
use std::io;
use watertight_engine::diff::{Cause, Diff, End, Party, Row, Shift, State};
use watertight_model::{PortSet, Str, World};
use words::{EditView, edit_view};

/// The difference.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffView {
    #[serde(flatten)]
    head: Head,
    /// What is compared, in words.
    pub before: String,
    /// With what.
    pub after: String,
    /// How much differs.
    pub summary: Summary,
    /// Ordered pairs whose ports differ, worst first: what opens before what closes.
    pub changes: Vec<ChangeView>,
    /// Workloads that are in one of the two only.
    pub workloads: Vec<CameOrWent>,
    /// Who reaches how many others.
    pub blast_radius: Radii,
    /// Policies that could change the answer and are not evaluated.
    pub not_evaluated: Vec<InView<ForeignView>>,
    /// What could not be read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<InView<UnreadView>>,
}

/// Counts of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Pairs with ports that are more open than before, without those whose one side is new.
    pub opens: usize,
    /// Pairs with ports that are less open, without those whose one side is gone.
    pub closes: usize,
    /// Of [`Self::opens`], those of pods that do not exist yet.
    pub opens_tomorrow: usize,
    /// Of [`Self::closes`], those of pods that do not exist yet.
    pub closes_tomorrow: usize,
    /// Workloads that are new.
    pub appear: usize,
    /// Workloads that are gone.
    pub disappear: usize,
}

/// An ordered pair.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeView {
    /// `appears`: no port was open; `disappears`: none is; `ports`: others are.
    pub change: &'static str,
    /// Who opens connections.
    pub from: Shared<Side>,
    /// Who receives them.
    pub to: Shared<Side>,
    /// What changed, port set by port set, worst first.
    pub shifts: Vec<ShiftView>,
    #[serde(skip)]
    exists: bool,
}

/// Ports that changed alike.
#[derive(Debug, Serialize)]
pub struct ShiftView {
    /// Which.
    pub ports: Shared<PortList>,
    /// `closed`, `unclear`, `partly`, `open`.
    pub before: &'static str,
    /// The same, after.
    pub after: &'static str,
    /// More is open than before.
    pub opens: bool,
    /// Why.
    pub because: CauseView,
    #[serde(skip)]
    words: &'static str,
}

/// Why ports changed.
#[derive(Debug, Serialize)]
pub struct CauseView {
    /// `one`, `eachAlone`, `together`, `existence`, `notFound`, `notLookedFor`.
    pub why: &'static str,
    /// The edits.
    pub edits: Vec<EditView>,
}

/// A side of a pair.
#[derive(Debug)]
pub struct Side {
    view: SideView,
    /// For people.
    pub words: Str,
    namespace: Option<String>,
    imagined: bool,
    outside: bool,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum SideView {
    Known(PartyView),
    NewPod { kind: &'static str, namespace: Option<String> },
}

impl Serialize for Side {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.view.serialize(serializer)
    }
}

/// A workload that is in one of the two only.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CameOrWent {
    /// `appears` or `disappears`.
    pub change: &'static str,
    /// API kind.
    pub kind: &'static str,
    /// `namespace/name`.
    pub workload: String,
    /// Other workloads that it reaches, or did.
    pub reaches: usize,
    /// Other workloads that reach it, or did.
    pub reached_by: usize,
    /// It reaches addresses outside, or did.
    pub reaches_outside: bool,
    /// It is reached from outside, or was.
    pub reached_from_outside: bool,
}

/// Blast radii before and after.
#[derive(Debug, Serialize)]
pub struct Radii {
    /// Mean share of the other workloads that a workload reaches, 0 to 1.
    pub mean: Two<f64>,
    /// Workloads of both whose radius differs, largest difference first.
    pub workloads: Vec<RadiusView>,
}

/// A blast radius.
#[derive(Debug, Serialize)]
pub struct RadiusView {
    /// API kind.
    pub kind: &'static str,
    /// `namespace/name`.
    pub workload: String,
    /// Other workloads in reach.
    pub reachable: Two<usize>,
    /// Their share of all others, 0 to 1.
    pub share: Two<f64>,
}

/// A value before and after.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Two<T> {
    /// Before.
    pub before: T,
    /// After.
    pub after: T,
}

/// Something with the side that it is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InView<T> {
    /// `before`, `after` or `both`.
    #[serde(rename = "in")]
    pub side: &'static str,
    /// What.
    #[serde(flatten)]
    pub what: T,
}

/// What is on either side.
fn sides<T: PartialEq>(before: Vec<T>, after: Vec<T>) -> Vec<InView<T>> {
    let mut out: Vec<InView<T>> = before.into_iter().map(|what| InView { side: "before", what }).collect();
    for what in after {
        match out.iter_mut().find(|o| o.side == "before" && o.what == what) {
            Some(same) => same.side = "both",
            None => out.push(InView { side: "after", what }),
        }
    }
    out
}

/// Makes each side and each set of ports once.
struct Makers<'w> {
    worlds: [&'w World; 2],
    parties: Vec<Shared<Side>>,
    ports: HashMap<PortSet, Shared<PortList>>,
}

impl<'w> Makers<'w> {
    fn new(worlds: [&'w World; 2], parties: &[Party]) -> Self {
        let parties = parties.iter().map(|p| Shared::new(side(worlds, p))).collect();
        Self { worlds, parties, ports: HashMap::new() }
    }

    fn end(&self, end: &End) -> Shared<Side> {
        match end {
            End::Party(i) => self.parties[*i].clone(),
            End::External(blocks) => {
                let view = PartyView::Outside { kind: "External", cidrs: cidrs(blocks) };
                let words = Str::from(view.words());
                let view = SideView::Known(view);
                Shared::new(Side { view, words, namespace: None, imagined: false, outside: true })
            }
        }
    }

    fn ports(&mut self, set: &PortSet) -> Shared<PortList> {
        let make = || {
            let list: Vec<PortView> = ports(set);
            let words = Str::from(port_words(&list));
            Shared::new(PortList { list, words })
        };
        self.ports.entry(set.clone()).or_insert_with(make).clone()
    }

    fn change(&mut self, diff: &Diff, row: &Row) -> ChangeView {
        let open = |side: &watertight_engine::diff::Openness| !side.possible.is_empty();
        let there = |end: &End| match end {
            End::Party(i) => diff.parties[*i].in_both(),
            End::External(_) => true,
        };
        let change = match (open(&row.before), open(&row.after)) {
            (false, _) => "appears",
            (_, false) => "disappears",
            (true, true) => "ports",
        };
        ChangeView {
            change,
            from: self.end(&row.from),
            to: self.end(&row.to),
            shifts: row.shifts.iter().map(|s| self.shift(s)).collect(),
            exists: there(&row.from) && there(&row.to),
        }
    }

    fn shift(&mut self, shift: &Shift) -> ShiftView {
        let edits = |edits: &[watertight_engine::diff::Edit]| {
            edits.iter().map(|e| edit_view(self.worlds, e)).collect::<Vec<EditView>>()
        };
        let (why, edits) = match &shift.cause {
            None => ("notLookedFor", Vec::new()),
            Some(Cause::Existence) => ("existence", Vec::new()),
            Some(Cause::One(edit)) => ("one", edits(std::slice::from_ref(edit))),
            Some(Cause::EachAlone(list)) => ("eachAlone", edits(list)),
            Some(Cause::Together(list)) => ("together", edits(list)),
            Some(Cause::NotFound) => ("notFound", Vec::new()),
        };
        let words = match (shift.opens(), shift.after) {
            (true, State::Open) => "opens",
            (true, State::Partly) => "opens for some pods",
            (true, State::Unclear | State::Closed) => "may open",
            (false, State::Closed) => "closes",
            (false, State::Unclear) => "may close",
            (false, State::Partly | State::Open) => "closes for some pods",
        };
        ShiftView {
            ports: self.ports(&shift.ports),
            before: shift.before.name(),
            after: shift.after.name(),
            opens: shift.opens(),
            because: CauseView { why, edits },
            words,
        }
    }
}

fn side(worlds: [&World; 2], party: &Party) -> Side {
    let (view, words, imagined) = match party {
        Party::Workload { before, after } => {
            let (world, id) = match (before, after) {
                (Some(id), _) => (worlds[0], *id),
                (None, Some(id)) => (worlds[1], *id),
                // The engine makes none; said so that nothing is left out.
                (None, None) => return nobody(),
            };
            let this = &world.workloads[id.index()];
            let namespace = world.namespaces[this.namespace.index()].name.to_string();
            let kind = this.kind.name();
            let view = PartyView::Inside { kind, namespace, name: this.name.to_string(), part: None };
            let words = view.words();
            (SideView::Known(view), words, false)
        }
        Party::NewPod { before, .. } => {
            let namespace = worlds[0].namespaces[before.index()].name.to_string();
            let words = format!("a pod created tomorrow in namespace {namespace}");
            (SideView::NewPod { kind: "NewPod", namespace: Some(namespace) }, words, true)
        }
        Party::NewNamespace => {
            let words = "a pod created tomorrow in a new namespace".to_owned();
            (SideView::NewPod { kind: "NewPod", namespace: None }, words, true)
        }
    };
    let namespace = match &view {
        SideView::Known(view) => view.namespace().map(str::to_owned),
        SideView::NewPod { namespace, .. } => namespace.clone(),
    };
    Side { view, words: Str::from(words), namespace, imagined, outside: false }
}

fn nobody() -> Side {
    let view = SideView::NewPod { kind: "NewPod", namespace: None };
    Side { view, words: Str::from("nobody"), namespace: None, imagined: true, outside: false }
}

impl DiffView {
    /// The engine's difference of two worlds, limited to what concerns a namespace. `names` says what the worlds are.
    pub fn of(worlds: [&World; 2], names: [String; 2], diff: &Diff, namespace: Option<&str>) -> Self {
        let mut makers = Makers::new(worlds, &diff.parties);
        let mine = |side: &Side| namespace.is_none() || side.namespace.as_deref() == namespace;
        let mut changes: Vec<ChangeView> = Vec::with_capacity(diff.rows.len());
        for row in &diff.rows {
            let change = makers.change(diff, row);
            if mine(&change.from) || mine(&change.to) {
                changes.push(change);
            }
        }
        changes.sort_by_cached_key(words::badness);
        let workloads = came_or_went(&makers, diff, &mine);
        let party = |i: usize| match &makers.parties[i].view {
            SideView::Known(PartyView::Inside { kind, namespace, name, .. }) => (*kind, format!("{namespace}/{name}")),
            SideView::Known(PartyView::Outside { .. }) | SideView::NewPod { .. } => ("NewPod", String::new()),
        };
        let radii = diff.radii.iter().filter(|r| mine(&makers.parties[r.party])).map(|r| {
            let (kind, workload) = party(r.party);
            RadiusView { kind, workload, reachable: two(r.reachable), share: two(r.share) }
        });
        let blast_radius = Radii { mean: two(diff.mean_share), workloads: radii.collect() };
        let [before, after] = names;
        Self {
            head: Head::new("Diff"),
            before,
            after,
            summary: summary(&changes, &workloads),
            changes,
            workloads,
            blast_radius,
            not_evaluated: sides(ForeignView::all(worlds[0]), ForeignView::all(worlds[1])),
            unread: sides(UnreadView::all(worlds[0]), UnreadView::all(worlds[1])),
        }
    }

    /// Something differs: a connection, a workload, a policy that is not evaluated, or what could be read.
    pub fn differs(&self) -> bool {
        !self.changes.is_empty()
            || !self.workloads.is_empty()
            || !self.blast_radius.workloads.is_empty()
            || self.not_evaluated.iter().any(|p| p.side != "both")
            || self.unread.iter().any(|u| u.side != "both")
    }

    /// A state on either side depends on what the input does not say.
    pub fn is_unclear(&self) -> bool {
        self.changes.iter().flat_map(|c| &c.shifts).any(|s| s.before == "unclear" || s.after == "unclear")
    }

    /// Something opens, or may: a connection, or what is not evaluated or could not be read on one side only.
    pub fn opens(&self) -> bool {
        self.changes.iter().flat_map(|c| &c.shifts).any(|s| s.opens)
            || self.not_evaluated.iter().any(|p| p.side != "both")
            || self.unread.iter().any(|u| u.side != "both")
    }
}

fn two<T: Copy>([before, after]: [T; 2]) -> Two<T> {
    Two { before, after }
}

fn summary(changes: &[ChangeView], workloads: &[CameOrWent]) -> Summary {
    let existing = || changes.iter().filter(|c| c.exists);
    let tomorrow = |c: &&ChangeView| c.from.imagined || c.to.imagined;
    let opens = || existing().filter(|c| c.shifts.iter().any(|s| s.opens));
    let closes = || existing().filter(|c| c.shifts.iter().any(|s| !s.opens));
    Summary {
        opens: opens().count(),
        closes: closes().count(),
        opens_tomorrow: opens().filter(tomorrow).count(),
        closes_tomorrow: closes().filter(tomorrow).count(),
        appear: workloads.iter().filter(|w| w.change == "appears").count(),
        disappear: workloads.iter().filter(|w| w.change == "disappears").count(),
    }
}

fn came_or_went(makers: &Makers<'_>, diff: &Diff, mine: &dyn Fn(&Side) -> bool) -> Vec<CameOrWent> {
    let mut out: HashMap<usize, CameOrWent> = HashMap::new();
    let mut order = Vec::new();
    for (i, party) in diff.parties.iter().enumerate().filter(|(i, p)| !p.in_both() && mine(&makers.parties[*i])) {
        let SideView::Known(PartyView::Inside { kind, namespace, name, .. }) = &makers.parties[i].view else {
            continue;
        };
        let change = if matches!(party, Party::Workload { before: None, .. }) { "appears" } else { "disappears" };
        let workload = format!("{namespace}/{name}");
        let (reaches, reached_by) = (0, 0);
        let one = CameOrWent {
            change,
            kind,
            workload,
            reaches,
            reached_by,
            reaches_outside: false,
            reached_from_outside: false,
        };
        out.insert(i, one);
        order.push(i);
    }
    let workload = |end: &End| matches!(end, End::Party(p) if !diff.parties[*p].is_imagined());
    for row in &diff.rows {
        if let (End::Party(i), true) = (&row.from, row.from != row.to)
            && let Some(one) = out.get_mut(i)
        {
            one.reaches += usize::from(workload(&row.to));
            one.reaches_outside |= matches!(row.to, End::External(_));
        }
        if let (End::Party(i), true) = (&row.to, row.from != row.to)
            && let Some(one) = out.get_mut(i)
        {
            one.reached_by += usize::from(workload(&row.from));
            one.reached_from_outside |= matches!(row.from, End::External(_));
        }
    }
    order.into_iter().filter_map(|i| out.remove(&i)).collect()
}

impl Report for DiffView {
    const FORMATS: &'static [Format] =
        &[Format::Table, Format::Json, Format::Yaml, Format::Markdown, Format::Html, Format::Csv];

    fn page(&self) -> Page {
        page::screen(self)
    }

    fn document(&self) -> Page {
        page::document(self)
    }

    fn title(&self) -> &'static str {
        "What changes in what can connect"
    }

    fn each_row(&self, row: &mut dyn FnMut(&[&str]) -> io::Result<()>) -> io::Result<()> {
        words::rows(self, row)
    }
}
