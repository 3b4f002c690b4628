//! Passes JSON text to a `jsonb` parameter byte for byte.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use postgres_types::{IsNull, ToSql, Type, to_sql_checked};

/// JSON text on its way to a `jsonb` parameter, byte for byte: no tree is built on our side, so no digit of a number is lost.
#[derive(Debug)]
pub(in crate::postgres) struct Jsonb<'a>(pub(in crate::postgres) &'a [u8]);

/// The first byte of `jsonb`'s binary form; the text follows it (`jsonb_recv` in PostgreSQL's `jsonb.c`).
const VERSION: u8 = 1;

impl ToSql for Jsonb<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.reserve(1 + self.0.len());
        out.put_u8(VERSION);
        out.put_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }

    to_sql_checked!();
}
