//! Between the supervisor and whoever asks something of the running bridge: commands with answers,
//! the state of each pipeline, and what became of the last reloads.
//!
//! The supervisor alone acts. Others send a [`Command`] through [`Control::ask`] and read what the
//! supervisor wrote down.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use log::LevelFilter;

/// Commands that wait for the supervisor; it takes them one after the other.
const CAPACITY: usize = 8;
/// Reloads that are remembered.
const MAX_RELOADS: usize = 20;
/// Also when the supervisor has ended meanwhile.
const NO_ANSWER: &str = "the supervisor has not answered yet; look at the log";

/// What can be asked of the running bridge. A name is a table of the source or a topic of the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Stop reading a table or consuming a topic, until [`Command::Resume`] or a restart.
    Pause(String),
    /// Go on with what was paused.
    Resume(String),
    /// Poll a table now instead of at the end of its interval.
    PollNow(String),
    /// Get a new access token.
    RefreshToken,
    /// Log from this level on, until the next one or a reload that changes `log_level`.
    LogLevel(LevelFilter),
    /// Read the configuration again.
    Reload,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Pause(name) => write!(f, "pause {name}"),
            Command::Resume(name) => write!(f, "resume {name}"),
            Command::PollNow(name) => write!(f, "poll {name}"),
            Command::RefreshToken => f.write_str("refresh-token"),
            Command::LogLevel(level) => {
                write!(f, "log-level {}", level.as_str().to_ascii_lowercase())
            }
            Command::Reload => f.write_str("reload"),
        }
    }
}

/// What became of a command, in words: done, or why not.
pub type Answer = Result<String, String>;

/// A command on its way to the supervisor.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    reply: Sender<Answer>,
}

impl Request {
    /// Answers. Whoever asked may have gone; then nobody is told.
    pub fn answer(self, answer: Answer) {
        // There is room for the one answer.
        self.reply.try_send(answer).ok();
    }
}

/// An answer that is still to come. See [`Control::send`].
#[derive(Debug)]
pub struct Pending(Receiver<Answer>);

impl Pending {
    /// The answer, once it is there.
    pub fn answer(&self) -> Option<Answer> {
        match self.0.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(NO_ANSWER.to_owned())),
        }
    }
}

/// What a pipeline is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It moves records, or waits for some.
    Running,
    /// Paused by [`Command::Pause`].
    Paused,
    /// It ended by itself or could not start, and is started again.
    Restarting {
        /// Why, in words.
        why: String,
    },
    /// It waits for somebody to act.
    Stopped {
        /// Why, and what to do.
        why: String,
    },
}

/// The direction of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A table that is read.
    Table,
    /// A topic that is written to the instance.
    Topic,
}

/// A pipeline as the supervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Which way it goes.
    pub kind: Kind,
    /// The table's or topic's name.
    pub name: String,
    /// What it is doing.
    pub phase: Phase,
}

/// What became of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The new configuration runs, or there was nothing to change.
    Applied,
    /// It was not taken: the running configuration stays.
    Refused,
    /// It was valid but its credentials did not work: the running configuration stays.
    RolledBack,
}

/// One reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// When it ended.
    pub at: SystemTime,
    /// What became of it.
    pub outcome: Outcome,
    /// What was changed, or what is wrong; one line each, without secrets.
    pub words: Vec<String>,
}

/// Everyone's end; cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    requests: Sender<Request>,
    board: Arc<Mutex<Board>>,
}

#[derive(Debug, Default)]
struct Board {
    states: Vec<State>,
    reloads: VecDeque<Reload>,
}

/// Makes the ends of everyone and of the supervisor.
pub fn pair() -> (Control, Receiver<Request>) {
    let (requests, receiver) = bounded(CAPACITY);
    let board = Arc::default();
    (Control { requests, board }, receiver)
}

impl Control {
    /// Sends a command and waits for what becomes of it, `patience` at most.
    ///
    /// # Errors
    /// What the supervisor says against it, or that it does not answer: then the command may still
    /// be done.
    pub fn ask(&self, command: Command, patience: Duration) -> Answer {
        let Pending(answer) = self.send(command)?;
        answer
            .recv_timeout(patience)
            .unwrap_or_else(|_| Err(NO_ANSWER.to_owned()))
    }

    /// Sends a command, for those who cannot wait.
    ///
    /// # Errors
    /// The supervisor does not take it.
    pub fn send(&self, command: Command) -> Result<Pending, String> {
        let (reply, answer) = bounded(1);
        let request = Request { command, reply };
        self.requests
            .try_send(request)
            .map_err(|_| "the supervisor takes no commands now; try again".to_owned())?;
        Ok(Pending(answer))
    }

    /// All pipelines, tables first, each in the order of the configuration.
    pub fn states(&self) -> Vec<State> {
        self.board().states.clone()
    }

    /// The last reloads, the newest first.
    pub fn reloads(&self) -> Vec<Reload> {
        self.board().reloads.iter().cloned().collect()
    }

    /// For the supervisor: what all pipelines are doing now.
    pub fn set_states(&self, states: Vec<State>) {
        self.board().states = states;
    }

    /// For the supervisor: a reload has ended.
    pub fn add_reload(&self, reload: Reload) {
        let mut board = self.board();
        board.reloads.push_front(reload);
        board.reloads.truncate(MAX_RELOADS);
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn commands_are_told_as_they_are_typed() {
        let poll = Command::PollNow("u_asset".to_owned());
        assert_eq!(poll.to_string(), "poll u_asset");
        let level = Command::LogLevel(LevelFilter::Debug);
        assert_eq!(level.to_string(), "log-level debug");
    }

    #[test]
    fn a_command_gets_its_answer() {
        let (control, requests) = pair();
        let supervisor = std::thread::Builder::new().spawn(move || {
            let request = requests.recv().unwrap();
            assert_eq!(request.command, Command::Pause("incident".to_owned()));
            request.answer(Ok("incident is paused".to_owned()));
        });
        let answer = control.ask(Command::Pause("incident".to_owned()), LONG);
        assert_eq!(answer, Ok("incident is paused".to_owned()));
        supervisor.unwrap().join().unwrap();
        let gone = control.ask(Command::Reload, LONG).unwrap_err();
        assert!(gone.contains("takes no commands"), "{gone}");
    }

    #[test]
    fn one_who_cannot_wait_looks_again() {
        let (control, requests) = pair();
        let pending = control.send(Command::RefreshToken).unwrap();
        assert_eq!(pending.answer(), None);
        requests.recv().unwrap().answer(Ok("done".to_owned()));
        assert_eq!(pending.answer(), Some(Ok("done".to_owned())));
        let pending = control.send(Command::RefreshToken).unwrap();
        // It ends with the request in its hand.
        drop(requests.recv().unwrap());
        assert!(pending.answer().unwrap().is_err());
    }

    #[test]
    fn nobody_waits_for_ever() {
        let (control, requests) = pair();
        let late = control.ask(Command::Reload, Duration::ZERO).unwrap_err();
        assert!(late.contains("not answered yet"), "{late}");
        // An answer that comes too late goes nowhere.
        requests.recv().unwrap().answer(Ok(String::new()));
    }

    #[test]
    fn the_newest_reloads_are_remembered() {
        let (control, _requests) = pair();
        for number in 0..30 {
            control.add_reload(Reload {
                at: SystemTime::UNIX_EPOCH,
                outcome: Outcome::Applied,
                words: vec![number.to_string()],
            });
        }
        let reloads = control.reloads();
        assert_eq!(reloads.len(), MAX_RELOADS);
        assert_eq!(reloads[0].words, ["29"]);
    }
}
