//! Text that came from outside (a server, a plugin, a file name), made fit for one line of a terminal.

/// One line of at most 200 characters, control characters escaped.
pub(crate) fn one_line(text: &str) -> String {
    const LIMIT: usize = 200;
    let mut out = String::new();
    for (count, c) in text.trim().chars().enumerate() {
        if count == LIMIT {
            out.push('…');
            break;
        }
        match c {
            '\n' | '\t' => out.push(' '),
            c if c.is_control() || is_bidi(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Characters that reorder what a terminal or editor shows.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// [`one_line`], with every long run of token-like characters replaced: a plugin may put a token into its complaint.
pub(crate) fn without_tokens(text: &str) -> String {
    const LONGEST_WORD: usize = 24;
    let token_like = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '=' | '/');
    let mut out = String::new();
    let mut run = String::new();
    for c in text.chars().chain(['\n']) {
        if token_like(c) {
            run.push(c);
            continue;
        }
        let mixed = run.contains(|c: char| c.is_ascii_digit()) && run.contains(|c: char| c.is_ascii_alphabetic());
        if run.len() > LONGEST_WORD && (mixed || run.len() > 2 * LONGEST_WORD) {
            out.push('…')
        } else {
            out.push_str(&run)
        }
        run.clear();
        out.push(c);
    }
    one_line(&out)
}

/// The known name that was probably meant, if one is near enough.
pub(crate) fn nearest<'a>(wanted: &str, known: &'a [String]) -> Option<&'a str> {
    let wanted_low = wanted.to_lowercase();
    let near = known.iter().map(|name| (distance(&wanted_low, &name.to_lowercase()), name));
    let (distance, name) = near.min()?;
    (distance <= 1 + wanted.chars().count() / 4).then_some(name)
}

/// Edit distance (insert, delete, replace).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(ca != *cb)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(one_line("a\u{1b}[31mred\u{202e}x"), "a\\u{1b}[31mred\\u{202e}x");
        assert_eq!(one_line("plain"), "plain");
        assert_eq!(one_line(&"é".repeat(300)).chars().count(), 201);
    }

    #[test]
    fn tokens_are_cut_out_and_words_stay() {
        let token = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMyJ9.abc";
        assert_eq!(without_tokens(&format!("token {token} refused")), "token … refused");
        assert_eq!(without_tokens("could not find profile default-profile"), "could not find profile default-profile");
    }

    #[test]
    fn nearest_finds_typos_only() {
        let known = ["prod-eu".to_owned(), "staging".to_owned()];
        assert_eq!(nearest("prod-ue", &known), Some("prod-eu"));
        assert_eq!(nearest("stagin", &known), Some("staging"));
        assert_eq!(nearest("minikube", &known), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
