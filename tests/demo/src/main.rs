//! Shows rows of a simulated instance arriving in an embedded Kafka, and records of a topic being
//! written to a table, moved by the real bridge.
//!
//! The instance and the broker live in this process, the bridge is a child. Ctrl-C ends all three.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, select, tick};
use real_kafka::Embedded;
use servicenow_sim::{Churn, Generator, Options, Sim};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

mod args;
mod bridge;
mod inbox;
mod show;
mod topics;

use args::Args;
use bridge::Bridge;
use inbox::Inbox;
use show::{Inward, Show};
use topics::{Arrival, Topics};

/// The tables, and their changes per second once the first rows are there.
const TABLES: [(&str, f64); 2] = [("incident", 4.0), ("problem", 1.0)];
/// The embedded Kafka keeps about 5 MB of each partition: 20,000 rows of this size in two topics of
/// three partitions fit without compression.
const ROW_BYTES: usize = 1_000;
const PARTITIONS: i32 = 3;
/// Longest run with `--until-read`.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let args = match args::parse(std::env::args_os().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            say(&format!("bridge-demo: {error}\n{}", args::USAGE));
            return ExitCode::from(64);
        }
    };
    match args.map_or(Ok(()), |args| demo(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("bridge-demo: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A line on standard error. Who closed it does not want to read it.
fn say(text: &str) {
    writeln!(io::stderr(), "{text}").ok();
}

/// What went wrong, in words.
#[derive(Debug)]
struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Puts what was tried in front of an error.
fn tried<E: fmt::Display>(what: &'static str) -> impl Fn(E) -> Failure {
    move |error| Failure(format!("{what}: {error}"))
}

/// Everything the bridge talks to.
struct World {
    sim: Sim,
    kafka: Embedded,
}

impl World {
    /// An instance with `rows` rows, the newest a minute old, and a broker with a topic per table.
    fn start(rows: usize) -> Result<World, Failure> {
        let sim = Sim::start(Options::default()).map_err(tried("start the simulated instance"))?;
        let kafka = Embedded::start(PARTITIONS).map_err(tried("start the embedded Kafka"))?;
        let share = rows.div_ceil(TABLES.len());
        let mut left = rows;
        for (table, _) in TABLES {
            let count = share.min(left);
            left -= count;
            let seconds = i64::try_from(count / 10).unwrap_or(0) + 60;
            let first = sim.now().saturating_sub(seconds);
            let made = Generator::new(fastrand::u64(..), ROW_BYTES, first).take(count);
            sim.insert_many(table, made).map_err(tried("make rows"))?;
            kafka
                .create_topic(&topics::name(table))
                .map_err(tried("make a topic"))?;
        }
        for topic in [inbox::INBOX, topics::LETTERS] {
            kafka.create_topic(topic).map_err(tried("make a topic"))?;
        }
        Ok(World { sim, kafka })
    }

    /// How the way to the instance stands.
    fn inward(&self, bridge: &Bridge) -> Inward {
        Inward {
            written: self.written(),
            held: bridge.held(),
        }
    }

    /// Writes that the instance carried out.
    fn written(&self) -> u64 {
        let writes = self.sim.writes();
        writes.iter().filter(|write| write.applied).count() as u64
    }

    /// Rows keep changing from now on.
    fn churn(&self) -> Result<Vec<Churn>, Failure> {
        TABLES
            .iter()
            .map(|(table, per_second)| Churn::start(&self.sim, table, *per_second, ROW_BYTES))
            .collect::<Result<_, _>>()
            .map_err(tried("change rows"))
    }
}

fn demo(args: &Args) -> Result<(), Failure> {
    let (_signals, signals) = signals()?;
    let world = World::start(args.rows)?;
    let folder = Folder::make(args.folder.as_deref())?;
    let port = bridge::free_port(args.port)?;
    let (url, brokers) = (world.sim.url(), world.kafka.bootstrap());
    let config = bridge::write_config(folder.path(), url, brokers, port)?;
    let mut bridge = Bridge::start(&args.program, &config, &signals)?;
    let topics = Topics::follow(world.kafka.bootstrap(), &TABLES.map(|(table, _)| table))?;
    let mut show = Show::new(io::stdout().is_terminal());
    show.places(&Places {
        instance: world.sim.url().to_owned(),
        kafka: world.kafka.bootstrap().to_owned(),
        admin: bridge.url().to_owned(),
        config,
        log: bridge.log_path(),
        // The commands are for another terminal, in whatever folder that is.
        program: args
            .program
            .canonicalize()
            .unwrap_or_else(|_| args.program.clone()),
        port: args.port,
    });
    let churn = if args.until_read {
        Vec::new()
    } else {
        world.churn()?
    };
    let mut inbox = Inbox::new(&world.sim, world.kafka.bootstrap())?;
    show.plan(args.rows, churn.is_empty());
    let stage = Stage {
        args,
        world: &world,
        bridge: &mut bridge,
        inbox: &mut inbox,
        show: &mut show,
    };
    let watched = stage.watch(&signals, topics.arrivals());
    drop(churn);
    show.note("stopping the bridge: SIGTERM");
    let ended = bridge.stop()?;
    show.note(&format!("the bridge {ended}"));
    match watched? {
        End::Stopped if args.until_read => Err(Failure("stopped before all had arrived".into())),
        End::Read | End::Stopped if ended.is_clean() => {
            show.total(world.inward(&bridge));
            if !args.until_read {
                show.next(matches!(folder, Folder::Kept(_)).then(|| folder.path()));
            }
            Ok(())
        }
        End::Read | End::Stopped => Err(Failure(format!("the bridge {ended}"))),
    }
}

/// What a newcomer may want to look at.
struct Places {
    instance: String,
    kafka: String,
    admin: String,
    config: PathBuf,
    log: PathBuf,
    program: PathBuf,
    /// The port that was asked for.
    port: Option<u16>,
}

/// Where the bridge runs.
enum Folder {
    /// Goes away with this value.
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn make(kept: Option<&Path>) -> Result<Folder, Failure> {
        let what = tried("make a folder");
        let Some(path) = kept else {
            let folder = tempfile::Builder::new().prefix("bridge-demo-").tempdir();
            return Ok(Folder::Temporary(folder.map_err(what)?));
        };
        std::fs::create_dir_all(path).map_err(&what)?;
        let path = path.canonicalize().map_err(&what)?;
        match std::fs::remove_file(path.join(bridge::CHECKPOINT)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(what(error)),
            Ok(()) | Err(_) => Ok(Folder::Kept(path)),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Folder::Temporary(folder) => folder.path(),
            Folder::Kept(path) => path,
        }
    }
}

/// Why the show is over.
enum End {
    /// All rows are there.
    Read,
    /// A signal, or the reader of the output has gone.
    Stopped,
}

/// What the show is made of.
struct Stage<'a> {
    args: &'a Args,
    world: &'a World,
    bridge: &'a mut Bridge,
    inbox: &'a mut Inbox,
    show: &'a mut Show,
}

impl Stage<'_> {
    /// Shows what arrives until it is over.
    fn watch(self, signals: &Receiver<()>, arrivals: &Receiver<Arrival>) -> Result<End, Failure> {
        if self.args.until_read {
            self.inbox.fill()?;
        }
        let ticks = tick(Duration::from_millis(100));
        let begun = Instant::now();
        loop {
            select! {
                recv(signals) -> _ => return Ok(End::Stopped),
                recv(arrivals) -> arrival => match arrival {
                    Ok(Arrival::Row(row)) => self.show.arrived(&row),
                    Ok(Arrival::Letter(letter)) => self.show.refused(&letter),
                    Err(_) => return Err(Failure("the topics cannot be read any more".into())),
                },
                recv(ticks) -> _ => {
                    self.bridge.check()?;
                    if !self.args.until_read {
                        self.inbox.tick()?;
                    }
                    if self.show.is_due() {
                        self.show.status(self.world.inward(self.bridge));
                    }
                },
            }
            if self.show.is_closed() {
                return Ok(End::Stopped);
            }
            if self.args.until_read {
                if self.is_done() {
                    return Ok(End::Read);
                }
                if begun.elapsed() > PATIENCE {
                    return Err(self.bridge.failure(&self.missing()));
                }
            }
        }
    }

    /// Whether both directions are through.
    fn is_done(&self) -> bool {
        self.args.rows <= self.show.rows()
            && self.inbox.bad() <= self.show.letters()
            && self.inbox.good() <= self.world.written()
    }

    /// How far both directions came.
    fn missing(&self) -> String {
        format!(
            "{} of {} rows arrived, {} of {} records were written, {} of {} refused after {PATIENCE:?}",
            self.show.rows(),
            self.args.rows,
            self.world.written(),
            self.inbox.good(),
            self.show.letters(),
            self.inbox.bad()
        )
    }
}

/// A closed terminal, Ctrl-C and `kill` all end the demo. The handle keeps the thread that waits.
fn signals() -> Result<(Listening, Receiver<()>), Failure> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(tried("listen for Ctrl-C"))?;
    let handle = signals.handle();
    let (sender, receiver) = bounded(1);
    let thread = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                // One is enough.
                sender.try_send(()).ok();
            }
        })
        .map_err(tried("start a thread"))?;
    let listening = Listening {
        handle,
        thread: Some(thread),
    };
    Ok((listening, receiver))
}

/// The thread that listens for signals; ends with this value.
struct Listening {
    handle: Handle,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
