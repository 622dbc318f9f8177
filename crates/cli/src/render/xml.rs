//! Text in XML and HTML.

use crate::text::clean;

/// Text that means itself, in content and in quoted attributes. Control characters are written out; so are the two code points
/// that XML 1.0 has no way to carry.
pub fn escaped(text: &str) -> String {
    lines(&clean(text))
}

/// The same, keeping line breaks; the text is harmless already.
pub fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}
