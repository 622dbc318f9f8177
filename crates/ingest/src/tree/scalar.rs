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
