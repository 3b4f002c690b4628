//! What one seed draws before anything runs: which faults exist and how often, and the shape of everything else. Each
//! schedule has few kinds of faults, so that rare combinations get room.

use backfill_core::Settle;
use fastrand::Rng;
use fixtures::Refused;

/// What may go wrong at a step that leaves a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is lost before it has an effect.
    Lost,
    /// It has its effect, and nobody hears of it.
    ReplyLost,
    /// The process is killed before or after the effect.
    Kill,
    /// All processes are, and what the disk was not told to keep may be gone.
    PowerCut,
    /// The process is frozen for up to three times as long as a lease lasts.
    Freeze,
    /// The vault's disk refuses to write.
    Disk,
    /// The source answers with a failure, or not at all.
    SourceFails,
    /// The source answers so for a while.
    SourceDown,
    /// A fault comes in an answer with status 200.
    Inside,
    /// The body ends too early.
    Torn,
    /// The source has had enough of the whole company.
    Throttled,
    /// The source refuses an access token before its time.
    TokenRejected,
    /// The token service fails.
    TokenFails,
    /// The database forgets what came last, as when a standby that lagged behind takes over.
    Forgets,
}

impl Fault {
    pub(crate) const ALL: [Self; 14] = [
        Self::Lost,
        Self::ReplyLost,
        Self::Kill,
        Self::PowerCut,
        Self::Freeze,
        Self::Disk,
        Self::SourceFails,
        Self::SourceDown,
        Self::Inside,
        Self::Torn,
        Self::Throttled,
        Self::TokenRejected,
        Self::TokenFails,
        Self::Forgets,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Processes that run the same backfill, one after the other and beside each other.
    Runs,
    /// Workers that share triggers.
    Triggers,
}

/// How long the token before the newest is still taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grace {
    None,
    Seconds(u32),
}

/// Whether a record says another time than the source goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OddTime {
    None,
    /// In some answers.
    Passing,
    /// In every answer.
    ForEver,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is drawn by itself")]
pub(crate) struct Profile {
    pub(crate) seed: u64,
    pub(crate) scenario: Scenario,
    pub(crate) processes: usize,
    /// How often each process runs its backfill.
    pub(crate) rounds: u32,
    pub(crate) places: usize,
    pub(crate) records: u32,
    pub(crate) days: u32,
    pub(crate) page_size: u16,
    /// Records that share one second.
    pub(crate) crowd: u32,
    /// Whether the order within a second is another one at every request.
    pub(crate) shuffled: bool,
    /// Whether ids can be sorted by.
    pub(crate) sorts_ids: bool,
    /// Whether the range reaches beyond the source's clock.
    pub(crate) to_now: bool,
    /// Whether the range ends just now instead, in how many seconds, and runs settle it.
    pub(crate) ends_in: Option<u32>,
    /// Changes behind a hundred answers.
    pub(crate) edits: u32,
    pub(crate) inserts: u32,
    pub(crate) deletes: u32,
    /// Whether some answers come from a copy that lags behind.
    pub(crate) replicas: bool,
    /// Whether a record of each kind that cannot be stored is among them.
    pub(crate) unstorable: bool,
    pub(crate) odd: OddTime,
    /// Whether somebody points the command at this schema with another company.
    pub(crate) stranger: bool,
    pub(crate) per_second: u32,
    pub(crate) per_minute: u32,
    /// The longest ordinary wait on the way, in milliseconds.
    pub(crate) latency: u64,
    pub(crate) token_life: u32,
    /// Of a hundred refreshes, how many bring another refresh token.
    pub(crate) rotates: u32,
    pub(crate) grace: Grace,
    /// Whether a token presented again ends the whole line.
    pub(crate) ends_family: bool,
    /// How far the clock of the hosts is off, and that of the database, in seconds.
    pub(crate) host_skew: i64,
    pub(crate) database_skew: i64,
    /// Of ten thousand answers, how many come without their records and say nothing of it.
    pub(crate) hollow: u32,
    /// How far some answers are ahead of the source's clock, in seconds; less than zero if they are behind.
    pub(crate) lies: i64,
    /// Whether somebody changes a row by hand, which then claims to be newer than what the source has.
    pub(crate) by_hand: bool,
    /// By how much the database's clock is set back in the middle of the storm, in seconds.
    pub(crate) set_back: u32,
    /// Of so many rows, something in the database drops one while the storm lasts; none if it is 0.
    pub(crate) drops_one_of: u32,
    /// Whether the source refuses to send all custom fields, and to sort by time.
    pub(crate) no_include: bool,
    pub(crate) no_order: bool,
    /// Whether the source's reports are compared with what is stored, without one of its rows.
    pub(crate) reconciles: bool,
    /// How long faults go on, in seconds.
    pub(crate) storm: u32,
    /// Of ten thousand steps, how many meet each fault; in the order of [`Fault::ALL`].
    pub(crate) chances: [u32; Fault::ALL.len()],
}

/// Draws how often each fault occurs.
fn draw_chances(rng: &mut Rng) -> [u32; Fault::ALL.len()] {
    let mut chances = [0; Fault::ALL.len()];
    for (fault, chance) in Fault::ALL.iter().zip(&mut chances) {
        let rare = matches!(
            fault,
            Fault::PowerCut | Fault::SourceDown | Fault::Freeze | Fault::Kill | Fault::Forgets
        );
        let often = if rare { [15, 50, 120] } else { [50, 200, 600] };
        if rng.u32(0..100) < 35 {
            *chance = often[rng.usize(0..often.len())];
        }
    }
    chances
}

impl Profile {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5eed_0f9c_0ff1_ce00);
        let one_in = |rng: &mut Rng, n: u32| rng.u32(0..n) == 0;
        let chances = draw_chances(&mut rng);
        let page_size = rng.u16(2..7);
        let crowd = if one_in(&mut rng, 3) { rng.u32(2..u32::from(page_size) * 3 + 2) } else { 0 };
        let drifts = !one_in(&mut rng, 3);
        let drift = |rng: &mut Rng, most: u32| if drifts && rng.bool() { rng.u32(1..most) } else { 0 };
        let replicas = one_in(&mut rng, 5);
        // Of their own, so that they change nothing else of a seed.
        let mut more = Rng::with_seed(seed ^ 0x0a11_0ff1_5175_u64);
        let hollow = if one_in(&mut more, 6) { [100, 1000, 4000][more.usize(0..3)] } else { 0 };
        // A count takes one record that left for one that was not sent.
        let (drifts, replicas) = (drifts && hollow == 0, replicas && hollow == 0);
        let drift = |rng: &mut Rng, most: u32| drift(rng, most) * u32::from(drifts);
        let mut parts = Rng::with_seed(seed ^ 0x0a11_f1e1_d500_u64);
        let far = more.i64(400..300_000);
        let lies = if one_in(&mut more, 8) { [far, far, -far][more.usize(0..3)] } else { 0 };
        let by_hand = one_in(&mut more, 8);
        let set_back = if one_in(&mut more, 8) { more.u32(600..12_000) } else { 0 };
        let drops_one_of = if one_in(&mut more, 12) { more.u32(2..7) } else { 0 };
        let mut drawn = Self {
            seed,
            scenario: if one_in(&mut rng, 6) { Scenario::Triggers } else { Scenario::Runs },
            processes: [1, 1, 2, 2, 3, 4][rng.usize(0..6)],
            rounds: rng.u32(1..4),
            places: [1, 2, 3, 10][rng.usize(0..4)],
            records: rng.u32(3..32),
            days: rng.u32(1..12),
            page_size,
            crowd,
            shuffled: rng.bool(),
            // Without an order, and with answers from copies of different ages, nothing proves a crowded second: a record
            // that has left comes again, and makes up in a count for one that was not met.
            sorts_ids: !one_in(&mut rng, 4) || replicas,
            to_now: replicas || one_in(&mut rng, 4),
            ends_in: None,
            edits: drift(&mut rng, 120),
            inserts: drift(&mut rng, 40),
            deletes: drift(&mut rng, 40),
            replicas,
            unstorable: one_in(&mut rng, 12),
            stranger: one_in(&mut rng, 12),
            per_second: if one_in(&mut rng, 3) { rng.u32(1..4) } else { 10 },
            per_minute: if one_in(&mut rng, 4) { rng.u32(20..60) } else { 500 },
            latency: [2, 30, 120, 200][rng.usize(0..4)],
            token_life: [200, 240, 600, 3600][rng.usize(0..4)],
            rotates: [0, 30, 100, 100][rng.usize(0..4)],
            grace: [Grace::None, Grace::Seconds(30), Grace::Seconds(86_400)][rng.usize(0..3)],
            ends_family: rng.bool(),
            host_skew: if one_in(&mut rng, 5) { rng.i64(-31_000_000..31_000_000) } else { 0 },
            // Where the source lies, one of the others tells the truth.
            database_skew: if one_in(&mut rng, 5) { rng.i64(-4000..4000) * i64::from(lies == 0) } else { 0 },
            hollow,
            lies,
            by_hand,
            set_back,
            drops_one_of,
            no_include: one_in(&mut parts, 6),
            // As for ids: with copies of different ages, nothing proves a crowded second.
            no_order: one_in(&mut parts, 6) && !replicas,
            reconciles: one_in(&mut Rng::with_seed(seed ^ 0x0e90_0e90_u64), 4),
            storm: rng.u32(20..400),
            chances,
            odd: [OddTime::None, OddTime::None, OddTime::Passing, OddTime::ForEver]
                [Rng::with_seed(!seed).usize(0..4)],
        };
        // Of its own as well.
        let mut settles = Rng::with_seed(seed ^ 0x5e77_1e5a_f7e2_u64);
        drawn.ends_in = (drawn.to_now && settles.bool()).then(|| settles.u32(0..90));
        drawn.draw_apart();
        drawn
    }

    /// The parts of requests that the source refuses.
    pub(crate) fn refused(&self) -> impl Iterator<Item = Refused> {
        let parts = [(self.no_include, Refused::Include), (self.no_order, Refused::Order)];
        parts.into_iter().filter(|(is_refused, _)| *is_refused).map(|(_, part)| part)
    }

    /// Takes back what is not drawn together.
    fn draw_apart(&mut self) {
        // Not drawn together, for what they do together is not all mended: a count cannot tell a record that has left from one
        // that was never sent or was forgotten, between records that cannot be delivered pages are too small to doubt a time,
        // and behind an odd time, or at the cursor of a process that was killed, an empty answer is no surprise.
        let leave = self.edits + self.deletes > 0;
        if self.lies != 0 || leave || self.places > 1 {
            self.leave_out(Fault::Forgets);
        }
        if [Fault::Kill, Fault::PowerCut, Fault::Freeze].iter().any(|fault| self.chance(*fault) > 0) {
            self.hollow = 0;
        }
        let hides = leave || self.unstorable || self.hollow > 0 || self.lies != 0;
        if hides || self.chance(Fault::Forgets) > 0 {
            self.odd = OddTime::None;
        }
        // A crowded second without an order holds a record that cannot be delivered, and is read again in another way.
        if self.unstorable {
            (self.no_include, self.no_order) = (false, false);
        }
        if self.lies != 0 || self.host_skew != 0 {
            // One of the others tells the truth.
            self.set_back = 0;
        }
        if self.scenario == Scenario::Triggers {
            // A trigger that fails for its rows would be taken for one that needs a consent.
            self.drops_one_of = 0;
            // Workers look for triggers twice a second, and would look for hours.
            self.set_back = self.set_back.min(900);
        }
    }

    fn leave_out(&mut self, fault: Fault) {
        for (known, chance) in Fault::ALL.iter().zip(&mut self.chances) {
            if *known == fault {
                *chance = 0;
            }
        }
    }

    /// Whether runs wait for windows that ended too near to now.
    pub(crate) fn settle(&self) -> Settle {
        if self.ends_in.is_some() { Settle::Soon } else { Settle::Never }
    }

    /// Whether a run that has read everything must have settled it: no other process reads the same, and no clock is off.
    pub(crate) fn settles_all(&self) -> bool {
        let clocks_agree =
            self.host_skew == 0 && self.database_skew == 0 && self.set_back == 0 && self.lies == 0;
        self.ends_in.is_some() && self.processes == 1 && clocks_agree
    }

    /// Whether everything is verified by count at the end: no copy of the source lags behind, no record says another time, and
    /// nobody has changed rows or clocks.
    pub(crate) fn is_verified(&self) -> bool {
        let is_true = !self.replicas && self.odd == OddTime::None && !self.by_hand && self.hollow == 0;
        let clocks_agree =
            self.host_skew == 0 && self.database_skew == 0 && self.set_back == 0 && self.lies == 0;
        is_true && clocks_agree && self.drops_one_of == 0
    }

    /// How often a fault is met, of ten thousand steps.
    pub(crate) fn chance(&self, fault: Fault) -> u32 {
        Fault::ALL.iter().position(|known| *known == fault).map_or(0, |place| self.chances[place])
    }

    /// Simpler profiles, the simplest first: what still fails with one of them says more.
    pub(crate) fn simpler(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut with = |change: &dyn Fn(&mut Self)| {
            let mut simpler = self.clone();
            change(&mut simpler);
            if format!("{simpler:?}") != format!("{self:?}") {
                all.push(simpler);
            }
        };
        for place in 0..self.chances.len() {
            with(&|it| it.chances[place] = 0);
        }
        with(&|it| it.processes = 1);
        with(&|it| it.processes = it.processes.min(2));
        with(&|it| it.rounds = 1);
        with(&|it| it.places = 1);
        with(&|it| it.records /= 2);
        with(&|it| it.crowd = 0);
        with(&|it| it.days = (it.days / 2).max(1));
        with(&|it| (it.edits, it.inserts, it.deletes) = (0, 0, 0));
        with(&|it| it.edits = 0);
        with(&|it| it.inserts = 0);
        with(&|it| it.deletes = 0);
        with(&|it| it.replicas = false);
        with(&|it| it.unstorable = false);
        with(&|it| it.odd = OddTime::None);
        with(&|it| it.stranger = false);
        with(&|it| it.shuffled = false);
        with(&|it| (it.to_now, it.ends_in) = (false, None));
        with(&|it| it.ends_in = None);
        with(&|it| (it.host_skew, it.database_skew) = (0, 0));
        with(&|it| it.hollow = 0);
        with(&|it| it.lies = 0);
        with(&|it| it.by_hand = false);
        with(&|it| it.set_back = 0);
        with(&|it| it.drops_one_of = 0);
        with(&|it| it.no_include = false);
        with(&|it| it.no_order = false);
        with(&|it| it.reconciles = false);
        with(&|it| (it.per_second, it.per_minute) = (10, 500));
        with(&|it| it.storm /= 2);
        all
    }
}
