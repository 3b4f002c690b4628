//! A real pseudo-terminal, with a command in a session of its own on it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// Longer than anything takes that is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Terminal {
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// What stands on the screen so far.
    shown: String,
    child: Child,
}

impl Terminal {
    /// Starts a command on a wide terminal.
    pub(crate) fn start(command: &Command) -> Self {
        Self::sized(command, 160)
    }

    /// Starts a command, whose environment holds no more than what was set for it. `setsid` makes the terminal its own, so
    /// that Ctrl-C reaches it. SIGHUP counts even where these tests are run by `nohup`.
    pub(crate) fn sized(command: &Command, columns: u16) -> Self {
        let keyboard =
            File::from(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap());
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&keyboard, size).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap().into_string().unwrap();
        let inner = || Stdio::from(OpenOptions::new().read(true).write(true).open(&name).unwrap());
        let mut session = Command::new("setsid");
        session
            .args(["--ctty", "env", "--default-signal=HUP"])
            .arg(command.get_program())
            .args(command.get_args());
        session.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = command.get_current_dir() {
            session.current_dir(folder);
        }
        let child = session.stdin(inner()).stdout(inner()).stderr(inner()).spawn().unwrap();
        let (shows, screen) = channel();
        let mut output = keyboard.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            // A terminal that nobody has open any more cannot be read.
            while let Ok(length @ 1..) = output.read(&mut part) {
                if shows.send(part[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { keyboard, screen, shown: String::new(), child }
    }

    pub(crate) fn child(&self) -> &Child {
        &self.child
    }

    /// Waits until these words are shown, behind what was waited for before.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        loop {
            if let Some(at) = self.shown.find(words) {
                let rest = self.shown.split_off(at + words.len());
                return std::mem::replace(&mut self.shown, rest);
            }
            let part = self.screen.recv_timeout(PATIENCE);
            let part = part.unwrap_or_else(|_| panic!("{words:?} is not shown: {}", self.shown));
            self.shown.push_str(&String::from_utf8_lossy(&part));
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Whether what is typed is shown.
    pub(crate) fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.keyboard).unwrap().local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
    }

    /// Waits for the end. Returns the exit code, and what else was shown.
    #[track_caller]
    pub(crate) fn end(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        while let Ok(part) = self.screen.recv_timeout(Duration::from_millis(200)) {
            self.shown.push_str(&String::from_utf8_lossy(&part));
        }
        assert!(self.echoes(), "the terminal is left without echo");
        (status.code().unwrap_or(-1), self.shown)
    }
}
