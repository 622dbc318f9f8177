//! What would close an allowed flow, in words: the least that has to be edited, on one side.

use watertight_engine::Engine;
use watertight_engine::query::{endpoint_name, rule_names};
use watertight_model::{Direction, Endpoint, Flow, FlowVerdict, Half, Reason};

/// One sentence, lower case, no full stop. One side is enough to close a flow; the one with a rule to narrow comes first.
pub fn closing(engine: &Engine<'_>, flow: &Flow, verdict: &FlowVerdict) -> String {
    let sides = [(Direction::Ingress, &verdict.ingress, flow.to), (Direction::Egress, &verdict.egress, flow.from)];
    let by_rule = |half: &Half| {
        matches!(half.reason, Reason::PolicyAllow | Reason::AdminAccept | Reason::BaselineAccept)
            && !half.decided_by.is_empty()
    };
    if let Some((direction, half, _)) = sides.iter().find(|(_, half, _)| by_rule(half)) {
        let rules = rule_names(engine, &half.decided_by);
        return format!("narrow {rules} so that {} is not admitted", direction.name());
    }
    let open =
        sides.iter().find(|(_, half, end)| half.reason == Reason::DefaultAllow && matches!(end, Endpoint::Pod(_)));
    match open {
        Some((direction, _, end)) => {
            let who = endpoint_name(engine, *end);
            format!("add a policy that selects {who} for {} and does not admit it", direction.name())
        }
        None => "no policy can close it".to_owned(),
    }
}
