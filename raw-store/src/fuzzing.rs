//! Ways in for the fuzz targets.

/// Whether an object of a JSON text has a key twice.
pub fn repeats_a_key(json: &[u8]) -> bool {
    crate::prepare::duplicate_keys::repeats_a_key(json)
}
