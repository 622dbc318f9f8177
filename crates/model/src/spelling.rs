//! Near names, for "did you mean".

/// Near names that an error offers: enough to spot a typing slip, few enough to read.
pub const NEAR: usize = 5;

/// Names within a third of their length in edits, nearest first.
pub fn near(wanted: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<(usize, String)> = names
        .map(|name| (distance(wanted, &name), name))
        .filter(|(d, name)| *d <= wanted.len().max(name.len()).div_ceil(3))
        .collect();
    found.sort();
    found.dedup();
    found.into_iter().take(NEAR).map(|(_, name)| name).collect()
}

/// Edits (insert, delete, replace, swap neighbours) from one text to another.
pub fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}
