//! What an unquoted scalar could mean. Offers readings, decides nothing: `port: 0120` is an integer to YAML 1.2, another
//! integer to YAML 1.1 (and so to kubectl), and the typed layer says which of the two is accepted.

use std::borrow::Cow;

/// A scalar's text and how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar<'a> {
    /// The text after escapes and folding; borrowed from the input where it stands there as is.
    pub text: Cow<'a, str>,
    /// How it was written.
    pub style: Style,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// Without quotes: the text may mean a number or a boolean. JSON numbers and literals are plain.
    Plain,
    /// In single or double quotes, or tagged `!!str`: a string whatever it looks like.
    Quoted,
    /// A block scalar (`|` or `>`): a string.
    Block,
}

/// What a scalar is under the YAML 1.2 core schema, <https://yaml.org/spec/1.2.2/#103-core-schema>.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Resolved {
    /// Null (only possible for keys: a null value is [`super::Value::Null`]).
    Null,
    /// `true`, `True`, `TRUE`, `false`, `False`, `FALSE`.
    Bool(bool),
    /// An integer: decimal (leading zeros are decimal here), `0o…` or `0x…`, within 64 bits.
    Int(i64),
    /// A floating-point number, `.inf`, `.nan`, or an integer beyond 64 bits.
    Float(f64),
    /// Anything else, and everything quoted.
    Str,
}

/// A plain scalar that YAML 1.1 reads otherwise than YAML 1.2. kubectl reads YAML 1.1 in part, so the author may mean either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yaml11 {
    /// `y`, `yes`, `on`, `n`, `no`, `off` in three casings: a boolean there, a string here.
    Bool(bool),
    /// `0120`: octal there (this value), decimal here.
    Octal(i64),
    /// `0x50`: the same value in both, and rare enough in manifests to be worth a warning.
    Hex(i64),
    /// `0b101`: binary there (this value), a string here.
    Binary(i64),
    /// `0o17`: a string there, octal here (this value).
    NewOctal(i64),
    /// `1_000`: a number there (this value if it is an integer in 64 bits), a string here.
    Underscores(Option<i64>),
    /// `1:30`: base 60 there (this value, or none if beyond 64 bits), a string here and in kubectl.
    Sexagesimal(Option<i64>),
}

impl<'a> Scalar<'a> {
    /// What YAML 1.2 makes of it. Quoted and block scalars are strings.
    pub fn resolve(&self) -> Resolved {
        match self.style {
            Style::Plain => resolve_plain(&self.text),
            Style::Quoted | Style::Block => Resolved::Str,
        }
    }

    /// Whether YAML 1.1 reads it otherwise than [`Scalar::resolve`]; none for quoted and block scalars.
    pub fn yaml11(&self) -> Option<Yaml11> {
        match self.style {
            Style::Plain => yaml11_plain(&self.text),
            Style::Quoted | Style::Block => None,
        }
    }
}

/// Whether a plain scalar means null: nothing, `~`, `null`, `Null`, `NULL`.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn resolve_plain(text: &str) -> Resolved {
    // Every non-string starts with one of these; most plain scalars in manifests end here.
    match text.as_bytes().first() {
        None => return Resolved::Null,
        Some(b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'.' | b'+' | b'-' | b'0'..=b'9') => {}
        Some(_) => return Resolved::Str,
    }
    if is_null(text) {
        return Resolved::Null;
    }
    match text {
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        _ => {}
    }
    let (sign, unsigned) = split_sign(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Resolved::Float(if sign == "-" { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    if sign.is_empty() {
        for (prefix, radix) in [("0o", 8), ("0x", 16)] {
            if let Some(digits) = unsigned.strip_prefix(prefix).filter(|d| all_digits(d, radix)) {
                return match i64::from_str_radix(digits, radix) {
                    Ok(value) => Resolved::Int(value),
                    Err(_) => Resolved::Float(
                        digits
                            .chars()
                            .fold(0.0, |sum, c| sum * f64::from(radix) + f64::from(c.to_digit(radix).unwrap_or(0))),
                    ),
                };
            }
        }
    }
    if all_digits(unsigned, 10) {
        return match text.parse() {
            Ok(value) => Resolved::Int(value),
            Err(_) => text.parse().map_or(Resolved::Str, Resolved::Float),
        };
    }
    if looks_like_float(unsigned) { text.parse().map_or(Resolved::Str, Resolved::Float) } else { Resolved::Str }
}

fn yaml11_plain(text: &str) -> Option<Yaml11> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(Yaml11::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some(Yaml11::Bool(false)),
        _ => {}
    }
    let (sign, unsigned) = split_sign(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let negate = sign == "-";
    if unsigned.contains('_') {
        let plain: String = unsigned.chars().filter(|c| *c != '_').collect();
        return number11(&plain).map(|value| Yaml11::Underscores(value.and_then(|v| signed(v, negate))));
    }
    if unsigned.contains(':') {
        return sexagesimal(unsigned).map(|value| Yaml11::Sexagesimal(value.and_then(|v| signed(v, negate))));
    }
    let radix = |prefix: &str, radix: u32| {
        let digits = unsigned.strip_prefix(prefix).filter(|d| all_digits(d, radix))?;
        signed(i64::from_str_radix(digits, radix).ok()?, negate)
    };
    if let Some(value) = radix("0x", 16) {
        return Some(Yaml11::Hex(value));
    }
    if let Some(value) = radix("0b", 2) {
        return Some(Yaml11::Binary(value));
    }
    if let Some(value) = radix("0o", 8) {
        return Some(Yaml11::NewOctal(value));
    }
    radix("0", 8).map(Yaml11::Octal)
}

/// A number of YAML 1.1 without sign and underscores: none if it is no number, `Some(None)` if it is no 64-bit integer.
fn number11(text: &str) -> Option<Option<i64>> {
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0", 8), ("", 10)] {
        if let Some(digits) = text.strip_prefix(prefix).filter(|d| all_digits(d, radix)) {
            return Some(i64::from_str_radix(digits, radix).ok());
        }
    }
    looks_like_float(text).then_some(None)
}

/// `[1-9][0-9]*(:[0-5]?[0-9])+`, with an optional fraction that makes it no integer.
fn sexagesimal(text: &str) -> Option<Option<i64>> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(w, f)| (w, Some(f)));
    if !fraction.is_none_or(|f| f.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let mut parts = whole.split(':');
    let first = parts.next().filter(|p| all_digits(p, 10))?;
    let mut value: Option<i64> = first.parse().ok();
    for part in parts {
        let digit = part.parse::<i64>().ok().filter(|v| part.len() <= 2 && all_digits(part, 10) && *v < 60)?;
        value = value.and_then(|v| v.checked_mul(60)?.checked_add(digit));
    }
    Some(if fraction.is_some() { None } else { value })
}

fn signed(value: i64, negate: bool) -> Option<i64> {
    if negate { value.checked_neg() } else { Some(value) }
}

fn split_sign(text: &str) -> (&str, &str) {
    if text.starts_with(['+', '-']) { text.split_at(1) } else { ("", text) }
}

fn all_digits(text: &str, radix: u32) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_digit(radix))
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn looks_like_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => all_digits(fraction, 10),
        Some((whole, fraction)) => all_digits(whole, 10) && (fraction.is_empty() || all_digits(fraction, 10)),
        None => all_digits(mantissa, 10),
    };
    mantissa_ok && exponent.is_none_or(|e| all_digits(split_sign(e).1, 10))
}
