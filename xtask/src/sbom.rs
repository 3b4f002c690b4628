//! The bill of materials, in the form of `CycloneDX` 1.5.

use serde_json::{Value, json};

use crate::Result;
use crate::notices::dependencies;
use crate::release::Release;

/// Names, versions, licences and checksums of everything that is compiled in.
pub(crate) fn document(release: &Release) -> Result<String> {
    let lock = std::fs::read_to_string(release.top.join("Cargo.lock"))?;
    let components: Vec<Value> =
        dependencies(release)?.into_iter().map(|package| component(package, &lock)).collect();
    let references: Vec<&Value> = components.iter().map(|component| &component["bom-ref"]).collect();
    let own = format!("pkg:cargo/backfill-cli@{}", release.version);
    let time = time::OffsetDateTime::from_unix_timestamp(i64::try_from(release.time)?)?;
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": format!("{}T{:02}:{:02}:{:02}Z", time.date(), time.hour(), time.minute(), time.second()),
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "qbo-backfill",
                "version": release.version,
                "purl": own,
                "licenses": [{"expression": "MIT OR Apache-2.0"}],
            },
        },
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": references}],
    });
    Ok(format!("{document:#}\n"))
}

fn component(package: &Value, lock: &str) -> Value {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let (name, version) = (text("name"), text("version"));
    let purl = format!("pkg:cargo/{name}@{version}");
    let mut component = json!({
        "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "scope": "required",
    });
    if !text("license").is_empty() {
        // Old manifests separate with a slash what the form of today calls OR.
        component["licenses"] = json!([{"expression": text("license").replace('/', " OR ")}]);
    }
    if let Some(checksum) = checksum(lock, name, version) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

/// The checksum of a package's archive, from the lock file.
fn checksum<'a>(lock: &'a str, name: &str, version: &str) -> Option<&'a str> {
    let head = format!("name = \"{name}\"\nversion = \"{version}\"\n");
    let entry = lock.split("[[package]]\n").find(|entry| entry.starts_with(&head))?;
    entry.lines().find_map(|line| line.strip_prefix("checksum = \"")?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn a_checksum_is_that_of_the_very_version() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"01\"\n\n\
                    [[package]]\nname = \"a\"\nversion = \"2.0.0\"\nchecksum = \"02\"\n";
        assert_eq!(checksum(lock, "a", "2.0.0"), Some("02"));
        assert_eq!(checksum(lock, "a", "3.0.0"), None);
    }
}
