//! Entry points for the fuzz targets.

/// Returns whether any object in a JSON text has a duplicate key.
pub fn repeats_a_key(json: &[u8]) -> bool {
    crate::prepare::duplicate_keys::repeats_a_key(json)
}
