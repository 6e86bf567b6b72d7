//! Measures how fast the simulated instance hands out pages on one connection.
//!
//! `cargo run --release -p servicenow-sim --example throughput [ROWS] [ROW_BYTES] [PAGE]`
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use servicenow_sim::{Generator, Options, Sim};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = |default: usize| args.next().map_or(Ok(default), |text| text.parse());
    let (rows, row_bytes, page) = (next(100_000)?, next(2_000)?, next(1_000)?);
    let sim = Sim::start(Options::default())?;
    let begin = Instant::now();
    let first = sim.now() - i64::try_from(rows)?;
    sim.insert_many("incident", Generator::new(1, row_bytes, first).take(rows))?;
    println!("made {rows} rows in {:.2} s", begin.elapsed().as_secs_f64());

    let host = sim.url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&host)?;
    stream.set_nodelay(true)?;
    for (name, filter, count) in [
        ("keyset, counted", "", true),
        ("keyset, no_count", "", false),
        ("keyset, filter, no_count", "active=true^", false),
        ("keyset, filter, counted", "active=true^", true),
    ] {
        measure(&mut stream, name, filter, count, page, row_bytes)?;
    }
    Ok(())
}

/// Reads the whole table by keyset pages.
fn measure(
    stream: &mut TcpStream,
    name: &str,
    filter: &str,
    count: bool,
    page: usize,
    row_bytes: usize,
) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    let (mut bytes, mut seen, mut pages) = (0, 0, 0);
    let mut last: Option<(String, String)> = None;
    let mut buffer = Vec::new();
    loop {
        let (ts, hi) = ("sys_updated_on", "2100-01-01 00:00:00");
        let query = match &last {
            Some((stamp, id)) => format!(
                "{filter}{ts}>{stamp}^{ts}<={hi}^NQ{filter}{ts}={stamp}^sys_id>{id}\
                 ^ORDERBY{ts}^ORDERBYsys_id"
            ),
            None => {
                format!("{filter}{ts}>=2000-01-01 00:00:00^{ts}<={hi}^ORDERBY{ts}^ORDERBYsys_id")
            }
        };
        let query = query
            .replace('^', "%5E")
            .replace(' ', "%20")
            .replace('>', "%3E");
        let request = format!(
            "GET /api/now/table/incident?sysparm_query={query}&sysparm_limit={page}\
             &sysparm_exclude_reference_link=true&sysparm_suppress_pagination_header=true\
             &sysparm_no_count={} HTTP/1.1\r\nHost: sim\r\nAccept: application/json\r\n\
             Authorization: Basic YnJpZGdlOnNlY3JldA==\r\n\r\n",
            !count
        );
        stream.write_all(request.as_bytes())?;
        let length = read_answer(stream, &mut buffer)?;
        bytes += length;
        pages += 1;
        let body = buffer.get(..length).unwrap_or_default();
        let rows = length / row_bytes.max(1);
        let value = |key: &str| {
            let tail = body
                .get(body.len().saturating_sub(row_bytes * 2)..)
                .unwrap_or_default();
            let tail = String::from_utf8_lossy(tail).into_owned();
            let at = tail.rfind(key)?;
            Some(tail.get(at + key.len()..)?.split('"').next()?.to_owned())
        };
        let next = value("\"sys_updated_on\":\"").zip(value("\"sys_id\":\""));
        if next.is_none() || rows == 0 {
            break;
        }
        seen += rows;
        last = next;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{name}: {pages} pages, about {seen} rows, {megabytes:.0} MB in {seconds:.3} s = {:.0} MB/s",
        megabytes / seconds
    );
    Ok(())
}

/// Reads one chunked answer into `buffer` as it came; gives its length on the wire.
fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
    buffer.resize(8 << 20, 0);
    let mut length = 0;
    loop {
        let room = buffer.get_mut(length..).unwrap_or_default();
        let count = stream.read(room)?;
        length += count;
        let done = buffer
            .get(..length)
            .is_some_and(|it| it.ends_with(b"\r\n0\r\n\r\n"));
        if count == 0 || done {
            return Ok(length);
        }
    }
}
