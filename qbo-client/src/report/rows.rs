//! Reads the rows of a report from its bytes, one at a time and at any depth.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::page::SplitError;
use crate::page::json_members::text;

/// What a row is in its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowKind {
    /// The head of a section.
    Header,
    /// A line of the report.
    Data,
    /// The end of a section, with its totals.
    Summary,
}

/// One cell: its text, and the id of what it names.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell<'a> {
    pub(super) value: Cow<'a, str>,
    pub(super) id: Cow<'a, str>,
}

/// One row.
pub(super) struct Row<'c, 'a> {
    pub(super) kind: RowKind,
    pub(super) cells: &'c [Cell<'a>],
}

impl Row<'_, '_> {
    /// The text of a cell; empty if the report has no such column or the row no such cell.
    pub(super) fn value(&self, place: Option<usize>) -> &str {
        place.and_then(|place| self.cells.get(place)).map_or("", |cell| &cell.value)
    }

    /// The id of what a cell names; empty if there is none.
    pub(super) fn id(&self, place: Option<usize>) -> &str {
        place.and_then(|place| self.cells.get(place)).map_or("", |cell| &cell.id)
    }

    /// Whether no cell of the row holds anything.
    pub(super) fn is_blank(&self) -> bool {
        self.cells.iter().all(|cell| cell.value.is_empty() && cell.id.is_empty())
    }
}

/// Passes each row to `hand_on`, in the order of the bytes. `rows` is the text of a report's member `Rows`; the parser limits
/// how deep sections may be.
pub(super) fn each_row<'a>(rows: &'a str, mut hand_on: impl FnMut(Row<'_, 'a>)) -> Result<(), SplitError> {
    let mut reader = Reader { cells: Vec::new(), hand_on: &mut hand_on };
    let mut deserializer = serde_json::Deserializer::from_str(rows);
    Rows(&mut reader).deserialize(&mut deserializer).map_err(|_| SplitError::Malformed)
}

struct Reader<'f, 'a> {
    /// The cells of the present row; kept to be filled again.
    cells: Vec<Cell<'a>>,
    hand_on: &'f mut dyn FnMut(Row<'_, 'a>),
}

/// `{"Row": […]}`, or `{}` if there are none.
struct Rows<'r, 'f, 'a>(&'r mut Reader<'f, 'a>);

/// The array of rows.
struct RowArray<'r, 'f, 'a>(&'r mut Reader<'f, 'a>);

/// One row, or a section with rows of its own.
struct OneRow<'r, 'f, 'a>(&'r mut Reader<'f, 'a>);

/// `{"ColData": […]}`: the head or the end of a section.
struct Part<'r, 'f, 'a>(&'r mut Reader<'f, 'a>, RowKind);

/// The array of cells.
struct Cells<'r, 'f, 'a>(&'r mut Reader<'f, 'a>, RowKind);

/// Each of them is read by visiting it with itself.
macro_rules! seed {
    ($name:ident, $method:ident) => {
        impl<'a> DeserializeSeed<'a> for $name<'_, '_, 'a> {
            type Value = ();

            fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.$method(self)
            }
        }
    };
}

seed!(Rows, deserialize_map);
seed!(RowArray, deserialize_seq);
seed!(OneRow, deserialize_map);
seed!(Part, deserialize_map);
seed!(Cells, deserialize_seq);

impl<'a> Visitor<'a> for Rows<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name == "Row" {
                map.next_value_seed(RowArray(self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'a> Visitor<'a> for RowArray<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<(), A::Error> {
        while array.next_element_seed(OneRow(self.0))?.is_some() {}
        Ok(())
    }
}

impl<'a> Visitor<'a> for OneRow<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match &*name {
                "ColData" => map.next_value_seed(Cells(self.0, RowKind::Data))?,
                "Header" => map.next_value_seed(Part(self.0, RowKind::Header))?,
                "Summary" => map.next_value_seed(Part(self.0, RowKind::Summary))?,
                "Rows" => map.next_value_seed(Rows(self.0))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl<'a> Visitor<'a> for Part<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the head or the end of a section")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name == "ColData" {
                map.next_value_seed(Cells(self.0, self.1))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'a> Visitor<'a> for Cells<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of cells")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<(), A::Error> {
        let Self(reader, kind) = self;
        reader.cells.clear();
        while let Some(sent) = array.next_element::<SentCell<'a>>()? {
            reader.cells.push(Cell { value: shown(sent.value), id: shown(sent.id) });
        }
        (reader.hand_on)(Row { kind, cells: &reader.cells });
        Ok(())
    }
}

/// One cell, as sent.
#[derive(serde::Deserialize)]
struct SentCell<'a> {
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// The text of a value. Reports send numbers as texts; a number keeps its digits all the same.
fn shown(sent: Option<&RawValue>) -> Cow<'_, str> {
    match sent.map(RawValue::get) {
        None | Some("null") => Cow::Borrowed(""),
        Some(raw) if raw.starts_with('"') => sent.and_then(text).unwrap_or_default(),
        Some(raw) => Cow::Borrowed(raw),
    }
}
