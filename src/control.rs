//! Between the supervisor and the admin port: commands with their answers, the state of each pipeline, the
//! outages of now, the sink's member, and the outcomes of the last reloads.
//!
//! The supervisor alone acts. The admin port sends an [`AdminCommand`] through [`Control::ask`] or
//! [`Control::send`], and reads the states and outcomes that the supervisor last set.

mod table_command;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use log::LevelFilter;

pub use self::table_command::{
    DeleteDecision, SnapshotOrder, SnapshotPart, SnapshotProgress, TableCommand,
};
use crate::sync::{Mutex, MutexGuard};

/// Commands that wait for the supervisor; it takes them one after the other.
const MAX_QUEUED_COMMANDS: usize = 8;
/// Reloads that are remembered.
const MAX_REMEMBERED_RELOADS: usize = 20;
/// The answer when the supervisor takes too long, or has ended meanwhile.
const NO_ANSWER_YET: &str = "the supervisor has not answered yet; look at the log";

/// A command to the running bridge. A name is a table of the source or a topic of the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminCommand {
    /// Stop reading a table or consuming a topic, until [`AdminCommand::Resume`] or a restart.
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
    /// Do this beside the stream of a table.
    ForTable {
        /// The table's name.
        table: String,
        /// What to do.
        command: TableCommand,
    },
}

impl fmt::Display for AdminCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminCommand::Pause(name) => write!(f, "pause {name}"),
            AdminCommand::Resume(name) => write!(f, "resume {name}"),
            AdminCommand::PollNow(name) => write!(f, "poll {name}"),
            AdminCommand::RefreshToken => f.write_str("refresh-token"),
            AdminCommand::LogLevel(level) => {
                write!(f, "log-level {}", level.as_str().to_ascii_lowercase())
            }
            AdminCommand::Reload => f.write_str("reload"),
            AdminCommand::ForTable { table, command } => write!(f, "{command} {table}"),
        }
    }
}

/// The outcome of a command as a sentence for the operator: `Ok` when it is done, `Err` with the reason
/// when it is not.
pub type AdminCommandResult = Result<String, String>;

/// A command on its way to the supervisor.
#[derive(Debug)]
pub struct CommandRequest {
    /// The command to execute.
    pub command: AdminCommand,
    reply: Sender<AdminCommandResult>,
}

impl CommandRequest {
    /// Sends the answer. If the asking side has given up waiting, the answer is dropped.
    pub fn answer(self, answer: AdminCommandResult) {
        // There is room for the one answer.
        self.reply.try_send(answer).ok();
    }
}

/// A command on its way to the thread that does it.
#[derive(Debug)]
pub struct TableRequest {
    /// What to do.
    pub command: TableCommand,
    request: CommandRequest,
}

impl TableRequest {
    /// `request` waits for the answer to `command`.
    pub fn new(command: TableCommand, request: CommandRequest) -> TableRequest {
        TableRequest { command, request }
    }

    /// Sends the answer, and writes it to the log.
    pub fn answer(self, answer: AdminCommandResult) {
        let command = self.request.command.to_string();
        match &answer {
            Ok(done) => log::info!(command = command, answer = done; "asked by an operator"),
            Err(why) => log::warn!(command = command, answer = why; "refused to an operator"),
        }
        self.request.answer(answer);
    }
}

/// An answer that is still to come. See [`Control::send`].
#[derive(Debug)]
pub struct PendingCommand(Receiver<AdminCommandResult>);

impl PendingCommand {
    /// The answer, once it is there.
    pub fn answer(&self) -> Option<AdminCommandResult> {
        match self.0.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(NO_ANSWER_YET.to_owned())),
        }
    }
}

/// The state of a pipeline as the supervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PipelinePhase {
    /// It moves records, or waits for some.
    Running,
    /// Paused by [`AdminCommand::Pause`].
    Paused,
    /// It ended by itself or could not start, and is started again.
    Restarting {
        /// Why, in words.
        why: String,
    },
    /// It cannot start until an operator changes the configuration or the checkpoint.
    Stopped {
        /// Why, and what to do.
        why: String,
    },
}

/// The direction of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PipelineKind {
    /// A table that is read.
    Table,
    /// A topic that is written to the instance.
    Topic,
}

/// A pipeline as the supervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisedPipeline {
    /// Which way it goes.
    pub kind: PipelineKind,
    /// The table's or topic's name.
    pub name: String,
    /// Its state.
    pub phase: PipelinePhase,
    /// How far the snapshot of a table is, while one is under way.
    pub snapshot: Option<SnapshotProgress>,
}

/// A place that does not answer now: the instance's reads, its writes, its log-in, or the schema registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOutage {
    /// The place as the label of metrics names it, for example `servicenow_read`.
    pub place: &'static str,
    /// When the outage began.
    pub since: Instant,
    /// The newest failure that counts as part of it, in words without secrets.
    pub error: String,
}

/// Who the sink's consumer is in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkMember {
    /// `group.id`.
    pub group_id: String,
    /// `group.instance.id`.
    pub instance_id: String,
}

/// The outcome of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// The new configuration runs, or there was nothing to change.
    Applied,
    /// It was not taken: the running configuration stays.
    Refused,
    /// It was valid but its credentials did not work: the running configuration stays.
    RolledBack,
}

/// One reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadRecord {
    /// When it ended.
    pub at: SystemTime,
    /// Its outcome.
    pub outcome: ReloadOutcome,
    /// One line for each change, or for each problem; without secrets.
    pub words: Vec<String>,
}

/// The end for all but the supervisor; cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    requests: Sender<CommandRequest>,
    state: Arc<Mutex<ControlState>>,
}

#[derive(Debug, Default)]
struct ControlState {
    states: Vec<SupervisedPipeline>,
    outages: Vec<PlaceOutage>,
    sink_member: Option<SinkMember>,
    reloads: VecDeque<ReloadRecord>,
}

/// Makes a connected pair: the end for all others, and the supervisor's queue of commands.
pub fn pair() -> (Control, Receiver<CommandRequest>) {
    let (requests, receiver) = bounded(MAX_QUEUED_COMMANDS);
    let state = Arc::default();
    (Control { requests, state }, receiver)
}

impl Control {
    /// Sends a command and waits for its outcome, `patience` at most.
    ///
    /// # Errors
    /// The supervisor's reason against it, or that it does not answer: then the command may still
    /// be done.
    pub fn ask(&self, command: AdminCommand, patience: Duration) -> AdminCommandResult {
        let PendingCommand(answer) = self.send(command)?;
        answer
            .recv_timeout(patience)
            .unwrap_or_else(|_| Err(NO_ANSWER_YET.to_owned()))
    }

    /// Sends a command without waiting; the answer is asked for later with [`PendingCommand::answer`].
    ///
    /// # Errors
    /// The supervisor does not take it.
    pub fn send(&self, command: AdminCommand) -> Result<PendingCommand, String> {
        let (reply, answer) = bounded(1);
        let request = CommandRequest { command, reply };
        self.requests
            .try_send(request)
            .map_err(|_| "the supervisor takes no commands now; try again".to_owned())?;
        Ok(PendingCommand(answer))
    }

    /// All pipelines, tables first, each in the order of the configuration.
    pub fn pipelines(&self) -> Vec<SupervisedPipeline> {
        self.state().states.clone()
    }

    /// The places that do not answer now; empty while all do.
    pub fn outages(&self) -> Vec<PlaceOutage> {
        self.state().outages.clone()
    }

    /// The sink's member; `None` while no sink runs.
    pub fn sink_member(&self) -> Option<SinkMember> {
        self.state().sink_member.clone()
    }

    /// The last reloads, the newest first.
    pub fn reloads(&self) -> Vec<ReloadRecord> {
        self.state().reloads.iter().cloned().collect()
    }

    /// For the supervisor: what all pipelines are doing now.
    pub fn set_pipelines(&self, states: Vec<SupervisedPipeline>) {
        self.state().states = states;
    }

    /// For the supervisor: the places that do not answer now.
    pub fn set_outages(&self, outages: Vec<PlaceOutage>) {
        self.state().outages = outages;
    }

    /// For the supervisor: the member of the sink that runs now.
    pub fn set_sink_member(&self, member: Option<SinkMember>) {
        self.state().sink_member = member;
    }

    /// For the supervisor: a reload has ended.
    pub fn add_reload(&self, reload: ReloadRecord) {
        let mut state = self.state();
        state.reloads.push_front(reload);
        state.reloads.truncate(MAX_REMEMBERED_RELOADS);
    }

    fn state(&self) -> MutexGuard<'_, ControlState> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn commands_are_told_as_they_are_typed() {
        let poll = AdminCommand::PollNow("u_asset".to_owned());
        assert_eq!(poll.to_string(), "poll u_asset");
        let level = AdminCommand::LogLevel(LevelFilter::Debug);
        assert_eq!(level.to_string(), "log-level debug");
    }

    #[test]
    fn a_command_gets_its_answer() {
        let (control, requests) = pair();
        let supervisor = std::thread::Builder::new().spawn(move || {
            let request = requests.recv().unwrap();
            assert_eq!(request.command, AdminCommand::Pause("incident".to_owned()));
            request.answer(Ok("incident is paused".to_owned()));
        });
        let answer = control.ask(AdminCommand::Pause("incident".to_owned()), LONG);
        assert_eq!(answer, Ok("incident is paused".to_owned()));
        supervisor.unwrap().join().unwrap();
        let gone = control.ask(AdminCommand::Reload, LONG).unwrap_err();
        assert!(gone.contains("takes no commands"), "{gone}");
    }

    #[test]
    fn a_sent_command_is_asked_for_its_answer_later() {
        let (control, requests) = pair();
        let pending = control.send(AdminCommand::RefreshToken).unwrap();
        assert_eq!(pending.answer(), None);
        requests.recv().unwrap().answer(Ok("done".to_owned()));
        assert_eq!(pending.answer(), Some(Ok("done".to_owned())));
        let pending = control.send(AdminCommand::RefreshToken).unwrap();
        // It ends with the request in its hand.
        drop(requests.recv().unwrap());
        assert!(pending.answer().unwrap().is_err());
    }

    #[test]
    fn a_wait_for_an_answer_has_an_end() {
        let (control, requests) = pair();
        let late = control
            .ask(AdminCommand::Reload, Duration::ZERO)
            .unwrap_err();
        assert!(late.contains("not answered yet"), "{late}");
        // An answer that comes too late goes nowhere.
        requests.recv().unwrap().answer(Ok(String::new()));
    }

    #[test]
    fn the_newest_reloads_are_remembered() {
        let (control, _requests) = pair();
        for number in 0..30 {
            control.add_reload(ReloadRecord {
                at: SystemTime::UNIX_EPOCH,
                outcome: ReloadOutcome::Applied,
                words: vec![number.to_string()],
            });
        }
        let reloads = control.reloads();
        assert_eq!(reloads.len(), MAX_REMEMBERED_RELOADS);
        assert_eq!(reloads[0].words, ["29"]);
    }
}
