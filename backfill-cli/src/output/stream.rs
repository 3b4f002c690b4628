//! A bounded queue and a writer thread for stdout or stderr, so that a slow reader does not block the other stream.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// The process's stdout.
pub(super) static STDOUT: LazyLock<Stream> = LazyLock::new(|| Stream::new(End::Stdout));

/// The process's stderr.
pub(super) static STDERR: LazyLock<Stream> = LazyLock::new(|| Stream::new(End::Stderr));

/// How many bytes wait for a reader.
const CAPACITY: usize = 1024 * 1024;

/// The largest piece that is written at once.
const PIECE: usize = 64 * 1024;

/// How long a reader may take before the other stream goes on without it.
const TURN: Duration = Duration::from_millis(250);

/// How long nobody may read before a note is given up at the end.
const LAST_TURN: Duration = Duration::from_secs(3);

/// How long a descriptor that somebody else made non-blocking is left alone.
const BUSY: Duration = Duration::from_millis(10);

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Stdout,
    Stderr,
}

/// One of the process's two streams, with the thread that writes it.
#[derive(Debug)]
pub(super) struct Stream {
    end: End,
    queue: Mutex<Queue>,
    changed: Condvar,
    writer: OnceLock<bool>,
}

/// The bytes that wait for the writer thread, and what is known of the reader.
#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Vec<u8>>,
    /// Those of the pieces, and of the one in the writer's hands.
    bytes: usize,
    /// How many pieces there were, and how many are written: whoever waits sees that somebody reads.
    pushed: u64,
    written: u64,
    left_out: u64,
    /// Nobody has read for a turn; until somebody does, nobody waits for it.
    is_stalled: bool,
    /// Nobody will read any more.
    is_closed: bool,
    failure: Option<io::ErrorKind>,
}

impl Stream {
    pub(super) fn new(end: End) -> Self {
        Self { end, queue: Mutex::default(), changed: Condvar::new(), writer: OnceLock::new() }
    }

    /// Takes bytes that must not be lost. Waits for room, and lets every other task go on meanwhile.
    pub(super) fn put(&'static self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            let has_room = |queue: &Queue| queue.is_closed || queue.has_room(piece.len());
            let mut queue = self.lock();
            if !has_room(&queue) {
                drop(queue);
                queue = elsewhere(|| {
                    self.changed
                        .wait_while(self.lock(), |queue| !has_room(queue))
                        .unwrap_or_else(PoisonError::into_inner)
                });
            }
            self.push(queue, piece);
        }
    }

    /// Takes bytes that may be lost if nobody reads: a line of a log, a note.
    pub(super) fn offer(&'static self, line: &[u8]) {
        let mut queue = self.lock();
        if queue.has_room(line.len()) {
            self.push(queue, line);
        } else {
            queue.left_out += 1;
        }
    }

    /// Takes a line that must not be lost, whether there is room or not: it waits for nobody.
    pub(super) fn insist(&'static self, line: &[u8]) {
        self.push(self.lock(), line);
    }

    /// As [`Stream::offer`], for what the next one replaces.
    pub(super) fn offer_frame(&'static self, frame: &[u8]) {
        let queue = self.lock();
        if queue.has_room(frame.len()) {
            self.push(queue, frame);
        }
    }

    /// Waits until all that is there now is written, or for a turn if nobody reads.
    pub(super) fn settle(&self) {
        let last = self.lock().pushed;
        let is_due = |queue: &Queue| queue.written < last && !queue.is_closed && !queue.is_stalled;
        if is_due(&self.lock()) {
            elsewhere(|| {
                let mut queue = self.wait_while_read(TURN, is_due);
                queue.is_stalled = is_due(&queue);
            });
        }
    }

    /// Waits until all is written.
    pub(super) fn finish(&self) {
        let waiting = self.changed.wait_while(self.lock(), |queue| queue.bytes > 0 && !queue.is_closed);
        drop(waiting);
    }

    /// Waits until all is written, for as long as somebody reads.
    pub(super) fn finish_if_read(&self) {
        drop(self.wait_while_read(LAST_TURN, |queue| queue.bytes > 0 && !queue.is_closed));
    }

    /// Why something could not be written. A reader that has gone away is no failure.
    pub(super) fn failure(&self) -> Option<io::ErrorKind> {
        self.lock().failure
    }

    /// Waits while `is_due`, for as long as something is written in each turn.
    fn wait_while_read(&self, turn: Duration, is_due: impl Fn(&Queue) -> bool) -> MutexGuard<'_, Queue> {
        let mut queue = self.lock();
        loop {
            let before = queue.written;
            let waited = self
                .changed
                .wait_timeout_while(queue, turn, |queue| is_due(queue) && queue.written == before);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !is_due(&queue) || queue.written == before {
                return queue;
            }
        }
    }

    fn push(&'static self, mut queue: MutexGuard<'_, Queue>, bytes: &[u8]) {
        if queue.is_closed || bytes.is_empty() {
            return;
        }
        queue.add(bytes.to_vec());
        drop(queue);
        self.changed.notify_all();
        let name = if self.end == End::Stdout { "stdout" } else { "stderr" };
        let started = || {
            let writer = std::thread::Builder::new().name(name.into());
            writer.spawn(move || while self.write_next() {}).is_ok()
        };
        if !self.writer.get_or_init(started) {
            // Where no thread is left there is nothing better to do than to write here.
            self.write_next();
        }
    }

    /// Writes the next piece, waiting for it. Says whether there may be another one.
    fn write_next(&self) -> bool {
        let waited = self.changed.wait_while(self.lock(), |queue| queue.pieces.is_empty());
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(piece) = queue.pieces.pop_front() else { return true };
        drop(queue);
        let written = self.write(&piece);
        let mut queue = self.lock();
        queue.bytes -= piece.len();
        queue.written += 1;
        queue.is_stalled = false;
        if let Err(error) = written {
            queue.is_closed = true;
            queue.pieces.clear();
            queue.bytes = 0;
            queue.left_out = 0;
            if error.kind() != io::ErrorKind::BrokenPipe {
                queue.failure = Some(error.kind());
            }
        }
        if queue.pieces.is_empty() && queue.left_out > 0 && !queue.is_closed {
            let note = format!("{} lines were left out here: nobody read them in time\n", queue.left_out);
            queue.left_out = 0;
            queue.add(note.into_bytes());
        }
        let goes_on = !queue.is_closed;
        drop(queue);
        self.changed.notify_all();
        goes_on
    }

    /// Past the standard library's buffers and locks: a lock that is held by a write that waits would make others wait.
    fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let end = if self.end == End::Stdout { stdout.as_fd() } else { stderr.as_fd() };
        while !bytes.is_empty() {
            match rustix::io::write(end, bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => std::thread::sleep(BUSY),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn add(&mut self, piece: Vec<u8>) {
        self.bytes += piece.len();
        self.pushed += 1;
        self.pieces.push_back(piece);
    }

    fn has_room(&self, length: usize) -> bool {
        self.bytes == 0 || self.bytes + length <= CAPACITY
    }
}

/// Waits without keeping the runtime's other tasks from this thread.
fn elsewhere<T>(wait: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        _ => wait(),
    }
}
