//! The emulator, as a process of its own.

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde::Deserialize;

/// A running emulator; it ends when its standard input closes.
pub(crate) struct Emulator {
    process: Child,
    pub(crate) access: Access,
}

/// Where it is, and what lets a client in. All of it is obviously false.
#[derive(Deserialize)]
#[allow(
    dead_code,
    clippy::struct_field_names,
    reason = "named as the emulator prints them; one program is let in by a token, the other one by a consent"
)]
pub(crate) struct Access {
    pub(crate) url: String,
    pub(crate) realm_id: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) refresh_token: String,
    pub(crate) access_token: String,
}

impl Emulator {
    /// Starts the program that lies beside this one.
    pub(crate) fn start(arguments: &[(&str, usize)]) -> Result<Self, Box<dyn Error>> {
        let program = std::env::current_exe()?.with_file_name("sandbox");
        let mut command = Command::new(&program);
        for (name, value) in arguments {
            command.args([*name, &value.to_string()]);
        }
        command.args(["--quota", "off", "--no-gzip"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| {
            format!("{}: {error}; build it first (see the head of this program)", program.display())
        })?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        Ok(Self { process, access: serde_json::from_str(&line)? })
    }

    pub(crate) fn stop(mut self) -> Result<(), Box<dyn Error>> {
        drop(self.process.stdin.take());
        self.process.wait()?;
        Ok(())
    }
}
