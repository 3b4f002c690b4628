//! The disk that the vault lies on. It keeps what was written, and through a power cut only what it was told to keep.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use qbo_auth::{
    SealedBytes, SealedVault, SecretString, TokenSet, TokenVault as _, Unlock, VaultBytes, VaultError,
    VaultErrorKind, VaultLock,
};

use crate::process::{Fate, Process};
use crate::profile::Fault;
use crate::world::World;

#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// What a reader sees.
    visible: Option<Vec<u8>>,
    /// What outlives a power cut.
    durable: Option<Vec<u8>>,
    /// What the vault holds, as a reader sees it.
    pub(crate) tokens: Option<TokenSet>,
    /// Who holds the lock, and the number of the holding.
    lock: Option<(u64, u64)>,
    locks: u64,
}

impl Disk {
    /// Returns whether something is lost with it.
    pub(crate) fn lose_power(&mut self, keeps: bool) -> bool {
        let differs = self.durable != self.visible;
        if keeps {
            self.durable.clone_from(&self.visible);
        } else {
            self.visible.clone_from(&self.durable);
        }
        self.lock = None;
        differs && !keeps
    }

    pub(crate) fn unlock_all_of(&mut self, process: u64) {
        self.lock = self.lock.filter(|(holder, _)| *holder != process);
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.lock.is_some()
    }
}

/// The key that all processes have.
pub(crate) fn key() -> Unlock {
    static KEY: OnceLock<SecretString> = OnceLock::new();
    Unlock::KeyText(KEY.get_or_init(|| Unlock::generate_key_text().unwrap()).clone())
}

/// The vault's place as one process sees it; without a process it is the observer's, whom nothing disturbs.
pub(crate) struct Place {
    pub(crate) world: Arc<World>,
    pub(crate) process: Option<Arc<Process>>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

struct Holding {
    world: Arc<World>,
    number: u64,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut state = self.world.state();
        state.disk.lock = state.disk.lock.filter(|(_, number)| *number != self.number);
    }
}

fn refused(kind: VaultErrorKind) -> VaultError {
    VaultError::new(kind)
}

impl Place {
    async fn enter(&self, step: &'static str) -> Result<Fate, VaultError> {
        match &self.process {
            None => Ok(Fate::Fine),
            // A disk does not lose answers; it is written to or not.
            Some(process) => match process.enter(step).await {
                Ok(Fate::ReplyLost) | Err(_) => Ok(Fate::Fine),
                Ok(fate) => Ok(fate),
            },
        }
    }

    async fn leave(&self, fate: Fate) {
        if let Some(process) = &self.process {
            let _ = process.leave(fate).await;
        }
    }
}

#[async_trait]
impl VaultBytes for Place {
    async fn try_lock(&self) -> Result<Option<VaultLock>, VaultError> {
        let fate = self.enter("vault lock").await?;
        let holder = self.process.as_ref().map_or(0, |process| process.id);
        let lock = {
            let mut state = self.world.state();
            if state.disk.lock.is_some() {
                None
            } else {
                state.disk.locks += 1;
                let number = state.disk.locks;
                state.disk.lock = Some((holder, number));
                Some(VaultLock::holding(Holding { world: Arc::clone(&self.world), number }))
            }
        };
        self.leave(fate).await;
        Ok(lock)
    }

    async fn read(&self) -> Result<SealedBytes, VaultError> {
        let fate = self.enter("vault read").await?;
        let bytes = self.world.state().disk.visible.clone();
        self.leave(fate).await;
        let bytes = bytes.ok_or_else(|| refused(VaultErrorKind::Missing))?;
        Ok(SealedBytes { bytes, revision: 0 })
    }

    async fn create(&self, bytes: &[u8]) -> Result<(), VaultError> {
        let mut state = self.world.state();
        state.disk.visible = Some(bytes.to_owned());
        state.disk.durable = Some(bytes.to_owned());
        Ok(())
    }

    /// As the file does it: written aside, renamed, and only then made to last.
    async fn replace(&self, _: u64, bytes: &[u8]) -> Result<(), VaultError> {
        let fate = self.enter("vault write").await?;
        if self.process.is_some() && self.world.meets(Fault::Disk) {
            self.leave(fate).await;
            return Err(refused(VaultErrorKind::Io));
        }
        self.leave(fate).await;
        let fate = self.enter("vault rename").await?;
        self.world.state().disk.visible = Some(bytes.to_owned());
        crate::tokens::vault_changed(&self.world);
        self.leave(fate).await;
        let fate = self.enter("vault sync").await?;
        {
            let mut state = self.world.state();
            let disk = &mut state.disk;
            disk.durable.clone_from(&disk.visible);
        }
        self.leave(fate).await;
        Ok(())
    }

    async fn forget_earlier(&self) -> Result<(), VaultError> {
        Ok(())
    }

    fn locate(&self, error: VaultError) -> VaultError {
        error
    }
}

/// The vault as it is for whom nothing disturbs.
pub(crate) fn observer(world: &Arc<World>) -> SealedVault {
    let place = Place { world: Arc::clone(world), process: None };
    let opened = SealedVault::open_in(Arc::new(place), key()).now_or_never();
    opened.expect("nothing is waited for").expect("the vault is whole")
}

/// The tokens that lie there now.
pub(crate) fn stored(world: &Arc<World>) -> Option<TokenSet> {
    observer(world).load().now_or_never().expect("nothing is waited for").expect("the vault is whole")
}
