//! F8: a vault, its first lines, its seal and what is inside.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use qbo_auth::fuzzing::sealed;
use qbo_auth::{
    SealedBytes, SealedVault, SecretVault as _, TokenVault as _, Unlock, VaultBytes, VaultError,
    VaultErrorKind, VaultLock,
};

use crate::memory::bounded;
use crate::shape::Shape;

/// A key of zeros.
const KEY: &str = "qbo-backfill vault key 1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

/// What a vault holds beside its bytes.
const SPARE: usize = 16 << 10;

/// Shapes that cost most for their bytes.
pub const SHAPES: &[Shape] = &[
    Shape {
        name: "a second line without end",
        head: "qbo-backfill vault 2\nargon2id m=",
        unit: "1",
        tail: "",
    },
    Shape { name: "noise", head: "qbo-backfill vault 2\nkey file\n", unit: "noise", tail: "" },
    Shape {
        name: "lines of tokens",
        head: r#"{"secrets":{},"tokens":null,"generation":1,"lines":[""#,
        unit: "#\",\"",
        tail: "\"]}",
    },
];

/// Bytes in memory, and nothing else.
#[derive(Debug)]
struct Held(Mutex<Vec<u8>>);

static UNLOCK: LazyLock<Unlock> = LazyLock::new(|| Unlock::KeyText(KEY.into()));

/// Opens the bytes as a vault, and as what is inside of one.
pub fn target(data: &[u8]) {
    let opened = bounded(data, SPARE, || open(data));
    if opened.is_ok() {
        // Without its key nobody can have sealed it: only the corpus holds such bytes.
        assert!(data.starts_with(b"qbo-backfill vault "));
        let mut changed = data.to_vec();
        let place = changed.len() / 2;
        changed[place] ^= 1;
        assert!(open(&changed).is_err(), "a flipped bit is not noticed");
    }
    let _ = at_once(SealedVault::wants_passphrase_in(&Held(Mutex::new(data.to_vec()))));

    let inside = sealed(KEY, data);
    if let Ok(vault) = open(&inside) {
        can_be_used(&vault);
    }
}

fn open(bytes: &[u8]) -> Result<SealedVault, VaultError> {
    let held = Arc::new(Held(Mutex::new(bytes.to_vec())));
    at_once(SealedVault::open_in(held, UNLOCK.clone()))
}

/// Contents that were understood say the same when they were written and are read again.
fn can_be_used(vault: &SealedVault) {
    let list = || at_once(vault.list()).expect("it is open");
    let tokens = || at_once(vault.load()).expect("it is open");
    let before = (list(), tokens());
    if let Some(tokens) = &before.1 {
        at_once(vault.store(tokens)).expect("it is as new as itself");
    }
    assert_eq!(before, (list(), tokens()));
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("bytes in memory need no waiting")
}

#[async_trait]
impl VaultBytes for Held {
    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        Ok(None)
    }

    async fn read(&self) -> Result<SealedBytes, VaultError> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(SealedBytes { bytes, revision: 0 })
    }

    async fn create(&self, _: &[u8]) -> Result<(), VaultError> {
        Err(VaultError::new(VaultErrorKind::AlreadyExists))
    }

    async fn replace(&self, _: u64, bytes: &[u8]) -> Result<(), VaultError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
        Ok(())
    }

    async fn forget_earlier(&self) -> Result<(), VaultError> {
        Ok(())
    }

    fn locate(&self, error: VaultError) -> VaultError {
        error
    }
}
