//! Every text of the pages, in every language. Each page has a struct with its texts, which is filled once for each language:
//! a text that is missing in one of them does not compile.

mod language;
mod entity_names;
mod findings;
mod reasons;
mod frame;
mod state;
mod trouble;
mod enter;
mod home;
mod today;
mod coverage;
mod runs;
mod company;
mod log;
mod records;
mod time;
mod new;
mod triggers;

pub(crate) use self::language::Language;
pub(crate) use self::new::NewWords;
pub(crate) use self::time::TimeWords;

use self::company::CompanyWords;
use self::coverage::CoverageWords;
use self::enter::EnterWords;
use self::frame::FrameWords;
use self::home::HomeWords;
use self::log::LogWords;
use self::records::RecordWords;
use self::runs::RunWords;
use self::state::StateWords;
use self::today::TodayWords;
use self::triggers::TriggerWords;
use self::trouble::TroubleWords;

/// The texts of one language.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) frame: FrameWords,
    pub(crate) state: StateWords,
    pub(crate) trouble: TroubleWords,
    pub(crate) enter: EnterWords,
    pub(crate) home: HomeWords,
    pub(crate) today: TodayWords,
    pub(crate) coverage: CoverageWords,
    pub(crate) runs: RunWords,
    pub(crate) company: CompanyWords,
    pub(crate) log: LogWords,
    pub(crate) records: RecordWords,
    pub(crate) time: TimeWords,
    pub(crate) new: NewWords,
    pub(crate) triggers: TriggerWords,
}

static EN: Words = Words {
    frame: frame::EN,
    state: state::EN,
    trouble: trouble::EN,
    enter: enter::EN,
    home: home::EN,
    today: today::EN,
    coverage: coverage::EN,
    runs: runs::EN,
    company: company::EN,
    log: log::EN,
    records: records::EN,
    time: time::EN,
    new: new::EN,
    triggers: triggers::EN,
};

static ES: Words = Words {
    frame: frame::ES,
    state: state::ES,
    trouble: trouble::ES,
    enter: enter::ES,
    home: home::ES,
    today: today::ES,
    coverage: coverage::ES,
    runs: runs::ES,
    company: company::ES,
    log: log::ES,
    records: records::ES,
    time: time::ES,
    new: new::ES,
    triggers: triggers::ES,
};

impl Language {
    /// The texts of the language.
    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::En => &EN,
            Self::Es => &ES,
        }
    }
}
