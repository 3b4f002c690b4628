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

/// How many bytes may wait for a reader.
const CAPACITY: usize = 1024 * 1024;

/// The largest piece that is written at once.
const PIECE: usize = 64 * 1024;

/// How long a reader may take before the other stream goes on without it.
const TURN: Duration = Duration::from_millis(250);

/// How long the reader may pause at the end before the remaining notes are dropped.
const LAST_TURN: Duration = Duration::from_secs(3);

/// Delay before another write to a busy descriptor that another process made non-blocking.
const BUSY: Duration = Duration::from_millis(10);

/// One of the two output streams.
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

/// The bytes that wait for the writer thread, and the state of the reader.
#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Vec<u8>>,
    /// Bytes in `pieces` and in the piece that is being written.
    bytes: usize,
    /// Pieces added and pieces written so far; a waiting task sees by them that the reader makes progress.
    pushed: u64,
    written: u64,
    left_out: u64,
    /// The reader read nothing for a turn. Until it reads again, no task waits for it.
    is_stalled: bool,
    /// The reader is gone, or a write failed.
    is_closed: bool,
    failure: Option<io::ErrorKind>,
}

impl Stream {
    pub(super) fn new(end: End) -> Self {
        Self { end, queue: Mutex::default(), changed: Condvar::new(), writer: OnceLock::new() }
    }

    /// Adds bytes that must not be lost. Waits for room without blocking other tasks.
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

    /// Adds bytes that may be dropped if the queue is full, such as a log line or a note.
    pub(super) fn offer(&'static self, line: &[u8]) {
        let mut queue = self.lock();
        if queue.has_room(line.len()) {
            self.push(queue, line);
        } else {
            queue.left_out += 1;
        }
    }

    /// Adds a line that must not be lost, even to a full queue, without waiting.
    pub(super) fn insist(&'static self, line: &[u8]) {
        self.push(self.lock(), line);
    }

    /// Adds a frame of the progress bar if there is room. A dropped frame is not counted, because the next one replaces it.
    pub(super) fn offer_frame(&'static self, frame: &[u8]) {
        let queue = self.lock();
        if queue.has_room(frame.len()) {
            self.push(queue, frame);
        }
    }

    /// Waits until everything in the queue now is written, but at most a turn without progress.
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

    /// Waits until everything is written.
    pub(super) fn finish(&self) {
        let waiting = self.changed.wait_while(self.lock(), |queue| queue.bytes > 0 && !queue.is_closed);
        drop(waiting);
    }

    /// Waits until everything is written, as long as the reader reads.
    pub(super) fn finish_if_read(&self) {
        drop(self.wait_while_read(LAST_TURN, |queue| queue.bytes > 0 && !queue.is_closed));
    }

    /// The error of a failed write. A reader that closed its end is no failure.
    pub(super) fn failure(&self) -> Option<io::ErrorKind> {
        self.lock().failure
    }

    /// Waits while `is_due`, as long as each turn writes something.
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
            // The thread could not be started, so this task writes the piece itself.
            self.write_next();
        }
    }

    /// Waits for the next piece and writes it. Returns whether the stream is still open.
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
            let note = format!(
                "{} lines were dropped here because the output was not read in time\n",
                queue.left_out
            );
            queue.left_out = 0;
            queue.add(note.into_bytes());
        }
        let goes_on = !queue.is_closed;
        drop(queue);
        self.changed.notify_all();
        goes_on
    }

    /// Bypasses the standard library's buffer and lock: a blocked write would keep the lock and block other tasks.
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

/// Waits without blocking the runtime's other tasks.
fn elsewhere<T>(wait: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        _ => wait(),
    }
}
