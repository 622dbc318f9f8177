//! Edits and their places, the order of changes, and rows of plain text.

use super::{CauseView, ChangeView, DiffView, PartyView, Side, SideView};
use crate::diagnostics::PlaceView;
use crate::view::{policy_kind, rule_origin};
use serde::Serialize;
use std::cmp::Reverse;
use std::io;
use watertight_engine::diff::{Edit, Object};
use watertight_model::{Origin, PolicyRef, Str, World};

/// An object that was edited, with the place that decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EditView {
    /// API kind; `Nodes` for nodes and pod address blocks together.
    pub kind: &'static str,
    /// `namespace/name`, or the name; empty for `Nodes`.
    pub object: String,
    /// `added`, `removed`, `changed`.
    pub edit: &'static str,
    /// Where the place below is: `before` or `after`.
    pub side: &'static str,
    /// Of the rule that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<&'static str>,
    /// Index of the rule that decides; absent if the policy decides by selecting the pod, or no rule is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<u32>,
    /// The rule, or else the object.
    #[serde(flatten)]
    pub place: Option<PlaceView>,
}

impl EditView {
    /// `NetworkPolicy shop/db-in changed: ingress rule 0 (db.yaml:12:5)`.
    pub fn words(&self) -> String {
        let name = match (self.kind, self.object.as_str()) {
            (kind, "") => kind.to_lowercase(),
            (kind, object) => format!("{kind} {object}"),
        };
        let rule = match (self.direction, self.rule) {
            (Some(direction), Some(rule)) => format!(": {direction} rule {rule}"),
            (Some(direction), None) => format!(": isolates for {direction}"),
            (None, _) => String::new(),
        };
        let place = self.place.as_ref().map_or_else(String::new, |p| format!(" ({})", p.words()));
        format!("{name} {}{rule}{place}", self.edit)
    }
}

/// An edit of the engine's.
pub(super) fn edit_view(worlds: [&World; 2], edit: &Edit) -> EditView {
    let both = |before: bool, after: bool| match (before, after) {
        (false, _) => "added",
        (_, false) => "removed",
        (true, true) => "changed",
    };
    let (kind, object, word, own) = match edit.object {
        Object::Policy { before, after } => {
            let (side, policy) = match (before, after) {
                (_, Some(policy)) => (1, policy),
                (Some(policy), None) => (0, policy),
                (None, None) => (1, PolicyRef::Namespaced(0)),
            };
            let world = worlds[side];
            let origin = match policy {
                PolicyRef::Namespaced(i) => world.policies.get(i as usize).map(|p| p.origin),
                PolicyRef::Cluster(i) => world.cluster_policies.get(i as usize).map(|p| p.origin),
            };
            let word = both(before.is_some(), after.is_some());
            (policy_kind(world, policy), world.policy_name(policy), word, origin.map(|o| (side, o)))
        }
        Object::Namespace { before, after } => {
            let [b, a] = [&worlds[0].namespaces[before.index()], &worlds[1].namespaces[after.index()]];
            let origin = a.origin.map(|o| (1, o)).or(b.origin.map(|o| (0, o)));
            ("Namespace", a.name.to_string(), "changed", origin)
        }
        Object::Workload { after, .. } => {
            let this = &worlds[1].workloads[after.index()];
            (this.kind.name(), worlds[1].workload_name(after), "changed", Some((1, this.origin)))
        }
        Object::Nodes => ("Nodes", String::new(), "changed", None),
    };
    let rule = edit.at.as_ref();
    let at: Option<(usize, Origin)> = match rule {
        Some((second, rule)) => Some((usize::from(*second), rule_origin(worlds[usize::from(*second)], rule))),
        None => own,
    };
    let side = match (at, word) {
        (Some((0, _)), _) | (None, "removed") => "before",
        _ => "after",
    };
    EditView {
        kind,
        object,
        edit: word,
        side,
        direction: rule.map(|(_, r)| r.direction.name()),
        rule: rule.and_then(|(_, r)| r.rule),
        place: at.and_then(|(side, origin)| PlaceView::of(&worlds[side].sources, origin)),
    }
}

impl CauseView {
    /// In one line.
    pub fn words(&self) -> String {
        /// Edits that are written out.
        const SHOWN: usize = 3;
        let mut list: Vec<String> = self.edits.iter().take(SHOWN).map(EditView::words).collect();
        if self.edits.len() > SHOWN {
            list.push(format!("{} more", self.edits.len() - SHOWN));
        }
        let list = list.join("; ");
        match self.why {
            "one" => list,
            "eachAlone" => format!("each alone: {list}"),
            "together" => format!("together: {list}"),
            "existence" => "one side is in one of the two only".to_owned(),
            "notLookedFor" => "not looked for: too many changes".to_owned(),
            _ => "no set of edits was found that decides it".to_owned(),
        }
    }
}

/// What sorts changes, worst first: what opens, for sure, from outside, from pods that anyone may create, on many ports.
pub(super) fn badness(change: &ChangeView) -> impl Ord + use<> {
    let worst = change.shifts.first();
    let state = |name: &str| ["closed", "unclear", "partly", "open"].iter().position(|s| *s == name);
    let source = match &*change.from {
        Side { outside: true, .. } => 0,
        Side { imagined: true, .. } => 1,
        _ => 2,
    };
    let count = |s: &super::ShiftView| -> u64 { s.ports.list.iter().map(|p| u64::from(p.to - p.from) + 1).sum() };
    (
        !worst.is_some_and(|s| s.opens),
        !change.exists,
        Reverse(worst.and_then(|s| state(s.after))),
        source,
        Reverse(worst.map(count)),
        Str::clone(&change.from.words),
        Str::clone(&change.to.words),
    )
}

/// Rows: one per pair and set of ports that changed alike.
pub(super) fn rows(view: &DiffView, row: &mut dyn FnMut(&[&str]) -> io::Result<()>) -> io::Result<()> {
    row(&[
        "change",
        "before",
        "after",
        "from_kind",
        "from_namespace",
        "from",
        "to_kind",
        "to_namespace",
        "to",
        "ports",
        "why",
        "edits",
    ])?;
    for change in &view.changes {
        for shift in &change.shifts {
            let edits: Vec<String> = shift.because.edits.iter().map(EditView::words).collect();
            let (from, to) = (cells(&change.from), cells(&change.to));
            row(&[
                change.change,
                shift.before,
                shift.after,
                from.0,
                from.1,
                &from.2,
                to.0,
                to.1,
                &to.2,
                &shift.ports.words,
                shift.because.why,
                &edits.join("; "),
            ])?;
        }
    }
    Ok(())
}

fn cells(side: &Side) -> (&'static str, &str, String) {
    match &side.view {
        SideView::Known(PartyView::Inside { kind, namespace, name, .. }) => (kind, namespace, name.clone()),
        SideView::Known(PartyView::Outside { kind, cidrs }) => (kind, "", cidrs.join(" ")),
        SideView::NewPod { kind, namespace } => (kind, namespace.as_deref().unwrap_or(""), String::new()),
    }
}
