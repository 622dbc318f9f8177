//! What plain scalars mean.

use super::super::{Resolved, Scalar, Style, Yaml11};

fn scalar(text: &str, style: Style) -> Scalar<'_> {
    Scalar { text: text.into(), style }
}

fn plain(text: &str) -> Scalar<'_> {
    scalar(text, Style::Plain)
}

#[test]
fn yaml_1_2_core_schema() {
    use Resolved as R;
    for (text, expected) in [
        ("", R::Null),
        ("~", R::Null),
        ("null", R::Null),
        ("true", R::Bool(true)),
        ("FALSE", R::Bool(false)),
        ("tRue", R::Str),
        ("yes", R::Str),
        ("80", R::Int(80)),
        ("-1", R::Int(-1)),
        ("+12", R::Int(12)),
        ("0120", R::Int(120)),
        ("0x50", R::Int(80)),
        ("-0x50", R::Str),
        ("0xg", R::Str),
        ("0o17", R::Int(15)),
        ("0o8", R::Str),
        ("9223372036854775807", R::Int(i64::MAX)),
        ("9223372036854775808", R::Float(9_223_372_036_854_775_808.0)),
        ("0xffffffffffffffff", R::Float(18_446_744_073_709_551_615.0)),
        ("80.0", R::Float(80.0)),
        ("1.", R::Float(1.0)),
        (".5", R::Float(0.5)),
        ("-1e3", R::Float(-1000.0)),
        ("1e", R::Str),
        (".", R::Str),
        ("-", R::Str),
        ("-.inf", R::Float(f64::NEG_INFINITY)),
        ("inf", R::Str),
        ("nan", R::Str),
        ("infinity", R::Str),
        ("1_000", R::Str),
        ("1:30", R::Str),
        ("10.0.0.0/8", R::Str),
        ("1.2.3", R::Str),
        ("web", R::Str),
    ] {
        assert_eq!(plain(text).resolve(), expected, "{text:?}");
    }
    assert!(matches!(plain(".NaN").resolve(), R::Float(f) if f.is_nan()));
}

#[test]
fn quoted_and_block_scalars_are_strings() {
    for text in ["80", "true", "null", "", "yes", "0120"] {
        for style in [Style::Quoted, Style::Block] {
            assert_eq!(scalar(text, style).resolve(), Resolved::Str, "{text:?}");
            assert_eq!(scalar(text, style).yaml11(), None, "{text:?}");
        }
    }
}

#[test]
fn yaml_1_1_reads_otherwise() {
    use Yaml11 as Y;
    for (text, expected) in [
        ("yes", Some(Y::Bool(true))),
        ("Off", Some(Y::Bool(false))),
        ("n", Some(Y::Bool(false))),
        ("yEs", None),
        ("true", None),
        ("0120", Some(Y::Octal(80))),
        ("-0120", Some(Y::Octal(-80))),
        ("0", None),
        ("0180", None),
        ("0x50", Some(Y::Hex(80))),
        ("0b101", Some(Y::Binary(5))),
        ("0o17", Some(Y::NewOctal(15))),
        ("1_000", Some(Y::Underscores(Some(1000)))),
        ("1_0.5", Some(Y::Underscores(None))),
        ("a_b", None),
        ("1_a", None),
        ("1:30", Some(Y::Sexagesimal(Some(90)))),
        ("1:30:00", Some(Y::Sexagesimal(Some(5400)))),
        ("1:60", None),
        ("12:30:45.6", Some(Y::Sexagesimal(None))),
        ("fe80:1", None),
        ("80", None),
        ("8080", None),
        ("1.10", None),
        ("web", None),
        ("10.0.0.0/8", None),
    ] {
        assert_eq!(plain(text).yaml11(), expected, "{text:?}");
    }
}
