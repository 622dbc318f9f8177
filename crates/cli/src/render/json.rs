//! JSON: keys in the order of the data, one line per entry of a top-level list, so that files compare well and large ones
//! stay small.

use serde::Serialize;
use serde_json::ser::Formatter;
use std::io::{self, Write};

/// Writes one value and a line break.
pub fn write<T: Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, Lines::default());
    value.serialize(&mut serializer).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// Writes one value on one line.
pub fn line<T: Serialize + ?Sized>(value: &T, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// Breaks lines at the two outer levels only.
#[derive(Default)]
struct Lines {
    depth: usize,
    /// Whether the list or object at each of the outer levels has an entry.
    filled: [bool; Lines::OUTER + 1],
}

impl Lines {
    const OUTER: usize = 2;

    fn enter(&mut self) {
        self.depth += 1;
        if let Some(filled) = self.filled.get_mut(self.depth) {
            *filled = false;
        }
    }

    fn leave<W: ?Sized + Write>(&mut self, out: &mut W, close: &[u8]) -> io::Result<()> {
        let filled = self.filled.get(self.depth).copied().unwrap_or(false);
        self.depth -= 1;
        if filled {
            self.indent(out)?;
        }
        out.write_all(close)
    }

    fn indent<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(b"  "))
    }

    fn entry<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if !first {
            out.write_all(b",")?;
        }
        match self.filled.get_mut(self.depth) {
            Some(filled) => {
                *filled = true;
                self.indent(out)
            }
            None if first => Ok(()),
            None => out.write_all(b" "),
        }
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.enter();
        out.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.leave(out, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.entry(out, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.enter();
        out.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.leave(out, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.entry(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}
