//! What an image says, once each: answers, tables, sets.

use super::answer::Answer;
use super::row::Steps;
use super::table::{Place, PortStep, Table, denies_by_tier};
use super::{Identity, Image, Set};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// What was said, once each; numbered in the order met, which is that of the input.
#[derive(Default)]
pub(super) struct Out {
    answers: FxHashMap<Arc<Answer>, u32>,
    answer_list: Vec<Answer>,
    tables: FxHashMap<Table, u32>,
    table_list: Vec<Table>,
    /// Tables by where their steps are kept; the steps are kept too, so that no place is used twice.
    by_place: FxHashMap<(usize, usize), (Steps, Steps, u32)>,
    sets: FxHashMap<Set, u32>,
    set_list: Vec<Set>,
}

fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Out {
    fn answer(&mut self, answer: &Arc<Answer>) -> u32 {
        if let Some(known) = self.answers.get(answer) {
            return *known;
        }
        let id = number(self.answer_list.len());
        self.answer_list.push((**answer).clone());
        self.answers.insert(answer.clone(), id);
        id
    }

    pub(super) fn table(&mut self, enforced: &Steps, shadow: &Steps) -> u32 {
        let place = (Arc::as_ptr(enforced).addr(), Arc::as_ptr(shadow).addr());
        if let Some((_, _, known)) = self.by_place.get(&place) {
            return *known;
        }
        let mut steps = Vec::with_capacity(enforced.len().max(shadow.len()));
        let (mut i, mut j) = (0, 0);
        while i < enforced.len() || j < shadow.len() {
            let next = |list: &Steps, at: usize| list.get(at).map(|(place, _, _)| *place);
            let from = match (next(enforced, i), next(shadow, j)) {
                (Some(a), Some(b)) => a.min(b),
                (Some(a), None) => a,
                (None, b) => b.unwrap_or(Place(0)),
            };
            i += usize::from(next(enforced, i) == Some(from));
            j += usize::from(next(shadow, j) == Some(from));
            let (_, allow, answer) = &enforced[i.max(1) - 1];
            let (_, shadow_allow, shadow_answer) = &shadow[j.max(1) - 1];
            let tier_deny = !allow && denies_by_tier(answer.reason);
            let (answer, shadow_answer) = (self.answer(answer), self.answer(shadow_answer));
            steps.push(PortStep { from, allow: *allow, shadow_allow: *shadow_allow, answer, shadow_answer, tier_deny });
        }
        let table = Table::new(steps);
        let id = match self.tables.get(&table) {
            Some(known) => *known,
            None => {
                let id = number(self.table_list.len());
                self.table_list.push(table.clone());
                self.tables.insert(table, id);
                id
            }
        };
        self.by_place.insert(place, (enforced.clone(), shadow.clone(), id));
        id
    }

    pub(super) fn set(&mut self, default: u32, mut entries: Vec<(Identity, u32)>) -> u32 {
        entries.sort_unstable();
        let set = Set { default, entries };
        if let Some(known) = self.sets.get(&set) {
            return *known;
        }
        let id = number(self.set_list.len());
        self.set_list.push(set.clone());
        self.sets.insert(set, id);
        id
    }

    /// Appends to an image what it does not have yet of the answers and tables.
    pub(super) fn sync(&mut self, image: &mut Image) {
        image.answers.extend_from_slice(&self.answer_list[image.answers.len()..]);
        image.tables.extend_from_slice(&self.table_list[image.tables.len()..]);
        self.by_place.clear();
    }

    pub(super) fn finish(self, image: &mut Image) {
        image.answers = self.answer_list;
        image.tables = self.table_list;
        image.sets = self.set_list;
    }
}
