//! Processes that are killed around a refresh: what the vault holds is whole, and a consent is lost only where a token was
//! issued that could not be on the disk yet.

use std::process::Stdio;
use std::time::Duration;

use fixtures::{CallKind, Fault, Gate, OauthOptions, Rule, SandboxOptions, Shape};
use qbo_auth::{RefreshToken, SealedVault, TokenSet, TokenVault as _};

use crate::house::House;
use crate::oracle;
use crate::repro::{Repro, number};

/// How long after the answer is let go a process is killed at the latest.
const LATEST: u64 = 10_000;

struct Scene {
    house: House,
}

impl Scene {
    async fn new(grace: bool) -> Self {
        let oauth = OauthOptions { previous_stays_valid: grace, ..OauthOptions::default() };
        let options = SandboxOptions { oauth, ..SandboxOptions::default() };
        let house = House::with(&Shape::empty(), options).await;
        house.at(&["db", "init"]).await.expect(0);
        Self { house }
    }

    /// What the vault holds. It can always be read.
    async fn stored(&self) -> TokenSet {
        let data = self.house.data();
        let vault = SealedVault::open(&data.join("vault"), &data.join("vault.key")).unwrap();
        vault.load().await.unwrap().unwrap()
    }

    async fn holds_the_newest(&self) -> bool {
        self.stored().await.refresh == RefreshToken::new(self.house.sandbox.current_refresh_token())
    }

    /// Kills a refresh: before the server has answered, or so many microseconds after. Returns whether it had ended.
    async fn kill(&self, after: Option<u64>) -> bool {
        let gate = Gate::new();
        self.house.sandbox.faults().push(Rule::on(CallKind::Token, Fault::Held(gate.clone())));
        let mut command = self.house.command(&["auth", "refresh"]);
        command.args(self.house.addresses()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        gate.arrived().await;
        if let Some(after) = after {
            gate.open();
            #[expect(clippy::disallowed_methods, reason = "a kill comes at any time")]
            tokio::time::sleep(Duration::from_micros(after)).await;
        }
        child.kill().unwrap();
        let ended_well = child.wait().unwrap().success();
        gate.open();
        // Whatever the dead one had sent has had its effect once its connection is gone.
        while self.house.sandbox.open_connections() > 0 {
            tokio::task::yield_now().await;
        }
        ended_well
    }

    /// How often the newest token was lost.
    async fn killed_at_random(&self, repro: &Repro, grace: bool) -> u64 {
        let mut rng = repro.rng();
        let mut lost = 0;
        for kill in 0..number("CRASH_KILLS", 200) {
            let issued = self.house.sandbox.issued().len();
            let after = (rng.u8(..8) != 0).then(|| rng.u64(..LATEST));
            let ended_well = self.kill(after).await;
            if self.holds_the_newest().await {
                continue;
            }
            lost += 1;
            assert!(!ended_well, "kill {kill}: it ended well, and the newest token is not in the vault");
            assert!(
                self.house.sandbox.issued().len() > issued,
                "kill {kill}: nothing was issued, and a token is lost"
            );
            assert!(self.stored().await.intent.is_some(), "kill {kill}: a token is lost outside a refresh");
            self.recover(grace, kill).await;
        }
        lost
    }

    /// The next process works, or says within two calls that somebody has to consent.
    async fn recover(&self, grace: bool, kill: u64) {
        let calls = self.house.sandbox.token_calls();
        let next = self.house.at(&["auth", "refresh"]).await;
        assert_eq!(next.code, if grace { 0 } else { 4 }, "kill {kill}: {}", next.stderr);
        assert!(self.house.sandbox.token_calls() - calls <= 2, "kill {kill}: it asked over and over");
        if grace {
            assert!(self.holds_the_newest().await, "kill {kill}");
        } else {
            let consent = self.house.sandbox.current_refresh_token();
            self.house.set_secret("QBO_REFRESH_TOKEN", &consent).await.expect(0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_grace_for_the_token_before_no_kill_costs_a_consent() {
    let repro = Repro::new();
    let scene = Scene::new(true).await;
    let consent = scene.stored().await.bootstrap;
    let lost = scene.killed_at_random(&repro, true).await;
    println!("{lost} answers were lost, and no consent");
    assert_eq!(scene.stored().await.bootstrap, consent);
    oracle::assert_nothing_leaked(&scene.house, "with grace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_grace_a_consent_is_lost_only_with_an_answer_that_was_not_on_the_disk() {
    let repro = Repro::new();
    let scene = Scene::new(false).await;
    let lost = scene.killed_at_random(&repro, false).await;
    println!("{lost} consents were lost");
    assert!(lost > 0, "no kill fell between issue and disk: this test proves nothing on this machine");
    oracle::assert_nothing_leaked(&scene.house, "without grace").await;
}
