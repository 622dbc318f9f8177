//! Strings from inputs are hostile: what could steer a terminal, or look like something that it is not, is written out.

use std::borrow::Cow;
use std::fmt::Write;

/// The same text on one line, with control characters, bidirectional controls and invisible characters as escapes
/// (`\u{1b}`). Everything printed for people goes through here.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if harmful(c) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// As [`clean`], keeping line breaks: for text that has lines by its nature.
pub fn clean_lines(text: &str) -> String {
    text.lines().map(|line| clean(line).into_owned() + "\n").collect()
}

/// The same number of characters, with harmful ones replaced one by one: columns stay true.
pub fn masked(line: &str) -> Cow<'_, str> {
    if !line.chars().any(|c| harmful(c) && c != '\t') {
        return Cow::Borrowed(line);
    }
    let mask = |c: char| match u32::from(c) {
        _ if c == '\t' || !harmful(c) => c,
        code @ 0..=0x1f => char::from_u32(0x2400 + code).unwrap_or(char::REPLACEMENT_CHARACTER),
        0x7f => '\u{2421}',
        _ => char::REPLACEMENT_CHARACTER,
    };
    Cow::Owned(line.chars().map(mask).collect())
}

fn harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Marks, embeddings, overrides and isolates of the bidirectional algorithm.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
            // Nothing to see: zero width, soft hyphen, fillers, variation selectors, tags.
            | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
            // Line breaks of their own kind.
            | '\u{2028}' | '\u{2029}')
}

/// `1 pod`, `2 pods`, `1,986 pods`. The plural of `many` is given where it is not `one` with an s.
pub fn count(n: usize, one: &str) -> String {
    let many = match one.strip_suffix('y') {
        Some(stem) if !one.ends_with("ey") => format!("{stem}ies"),
        _ => format!("{one}s"),
    };
    format!("{} {}", number(n), if n == 1 { one } else { &many })
}

/// Digits in groups of three.
pub fn number(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share as whole percent, never rounded to 0 or 100 from something else.
pub fn percent(share: f64) -> String {
    let rounded = (share * 100.0).round();
    match rounded {
        r if r <= 0.0 && share > 0.0 => "<1%".to_owned(),
        r if r >= 100.0 && share < 1.0 => ">99%".to_owned(),
        r => format!("{r}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_cannot_be_steered() {
        assert_eq!(clean("shop/web"), "shop/web");
        assert_eq!(clean("\u{1b}[2Jx\r\n\u{9b}1m"), "\\u{1b}[2Jx\\u{d}\\n\\u{9b}1m");
        assert_eq!(clean("ad\u{202e}min\u{200b}\u{e0041}"), "ad\\u{202e}min\\u{200b}\\u{e0041}");
        assert_eq!(clean("größe 東京"), "größe 東京");
        assert_eq!(clean_lines("a\n\u{7}b"), "a\n\\u{7}b\n");
    }

    #[test]
    fn masking_keeps_columns() {
        let line = "a\u{1b}b\u{202e}c\td";
        let masked = masked(line);
        assert_eq!(masked.chars().count(), line.chars().count());
        assert_eq!(masked, "a\u{241b}b\u{fffd}c\td");
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(count(1, "policy"), "1 policy");
        assert_eq!(count(1986, "policy"), "1,986 policies");
        assert_eq!(count(0, "pod"), "0 pods");
        assert_eq!(
            [percent(0.0), percent(0.001), percent(0.5), percent(0.999), percent(1.0)],
            ["0%", "<1%", "50%", ">99%", "100%"]
        );
    }
}
