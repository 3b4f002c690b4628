//! F9: what a person or an orchestrator writes into files, and the addresses and names in it.

use qbo_auth::{Endpoints, Environment, RealmId};
use raw_store::{DatabaseOptions, RunId, SchemaName, TableName, TriggerName};

use backfill_core::{Axis, Catalog, ChunkSize};

use crate::shape::Shape;

// The command is a program without a library; these two of its files know nothing of the rest.
#[allow(dead_code, reason = "only reading is of interest here")]
#[path = "../../backfill-cli/src/command/trigger/mage.rs"]
mod mage;
#[allow(dead_code, reason = "only reading is of interest here")]
#[path = "../../backfill-cli/src/config/profile.rs"]
mod profile;

/// What stands for a password in a database's address.
const CANARY: &str = "hunter2";

/// Shapes that cost most for their bytes.
pub const SHAPES: &[Shape] = &[
    Shape { name: "profiles", head: "", unit: "[profile.p#]\nrealm = \"1\"\n", tail: "" },
    Shape { name: "nesting in TOML", head: "profile = ", unit: "[", tail: "" },
    Shape {
        name: "triggers",
        head: "triggers:\n",
        unit: "- name: t#\n  schedule_interval: '@once'\n",
        tail: "",
    },
    Shape { name: "nesting in YAML", head: "triggers: ", unit: "[", tail: "" },
    Shape { name: "parameters", head: "postgres://a@h/d?", unit: "port=1&", tail: "" },
];

/// Reads a text as everything that it could be.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = profile::File::read(text);
    let _ = mage::entries(text);
    if let Ok(catalog) = Catalog::bundled().extended(text) {
        every_entity_can_be_read(&catalog);
    }
    database(text);
    names(text);
}

/// Whatever a catalogue says, its tables are plain names, and every entity can be found again.
fn every_entity_can_be_read(catalog: &Catalog) {
    for spec in catalog.entities() {
        assert!(spec.table().as_str().parse::<TableName>().is_ok());
        assert!(!spec.axes().is_empty());
        assert_eq!(
            catalog.find(&spec.pipeline_name()).map(backfill_core::EntitySpec::table),
            Ok(spec.table())
        );
    }
}

/// An address with a password is refused, and a refusal repeats nothing of it.
fn database(text: &str) {
    match text.parse::<DatabaseOptions>() {
        Ok(options) => assert!(!format!("{options} {options:?}").contains(&format!(":{CANARY}@"))),
        Err(error) => assert!(!format!("{error} {error:?}").contains(CANARY)),
    }
}

fn names(text: &str) {
    let is_plain = |name: &str, extra: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.as_bytes().contains(&byte))
    };
    if let Ok(realm) = text.parse::<RealmId>() {
        assert!(realm.as_str().bytes().all(|byte| byte.is_ascii_digit()));
    }
    if let Ok(schema) = text.parse::<SchemaName>() {
        assert!(is_plain(schema.as_str(), "_"));
    }
    let _ = (text.parse::<RunId>(), text.parse::<TriggerName>(), text.parse::<Environment>());
    let _ = (text.parse::<Axis>(), text.parse::<ChunkSize>());
    for endpoints in [
        Endpoints::of(Environment::Sandbox).with_api(text),
        Endpoints::of(Environment::Sandbox).with_oauth(text),
    ]
    .into_iter()
    .flatten()
    {
        assert!(endpoints.api().starts_with("http") && endpoints.token().starts_with("http"));
    }
}
