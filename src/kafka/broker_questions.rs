//! Two questions to one broker that librdkafka does not ask: which versions of the protocol it speaks, and
//! what this user may do with topics.
//!
//! Neither changes anything. Layouts are those of <https://kafka.apache.org/protocol.html>: ApiVersions 0,
//! SaslHandshake 1, SaslAuthenticate 0, Metadata 8 (Kafka 2.3 and later), all before flexible versions.

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::client_settings::CLIENT_ID;
use super::scram::ScramLogin;
use crate::config::SaslConfig;

/// Longest answer that is read.
const MAX_BROKER_ANSWER_BYTES: usize = 4 << 20;

/// The request Metadata.
pub const METADATA_API: i16 = 3;
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS_API: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;
/// The first version of Metadata that tells rights.
pub const METADATA_WITH_RIGHTS: i16 = 8;
/// In place of rights that are not told.
const RIGHTS_NOT_TOLD: i32 = i32::MIN;

/// The versions of one request that a broker takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiVersionRange {
    /// The request's number.
    pub api: i16,
    /// The oldest version.
    pub min: i16,
    /// The newest version.
    pub max: i16,
}

/// What a user may do with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicRights(i32);

impl TopicRights {
    /// AclOperation `READ`.
    pub fn may_read(self) -> bool {
        self.has(3)
    }

    /// AclOperation `WRITE`.
    pub fn may_write(self) -> bool {
        self.has(4)
    }

    fn has(self, operation: u8) -> bool {
        self.0 & (1 << operation) != 0
    }
}

/// A connection to a broker, on which requests go one after the other.
pub struct BrokerQuestions<S> {
    stream: S,
    correlation: i32,
}

impl<S: Read + Write> BrokerQuestions<S> {
    /// Over a connection on which nothing was sent yet. Its reads and writes have to be bounded.
    pub fn new(stream: S) -> BrokerQuestions<S> {
        BrokerQuestions {
            stream,
            correlation: 0,
        }
    }

    /// The versions of all requests that the broker takes; this needs no log-in.
    ///
    /// # Errors
    /// It does not answer, or in another protocol.
    pub fn api_versions(&mut self) -> io::Result<Vec<ApiVersionRange>> {
        let answer = self.ask(API_VERSIONS_API, 0, &[])?;
        let mut answer = BrokerAnswer(&answer);
        accepted(answer.int16()?)?;
        answer.array(|it| {
            Ok(ApiVersionRange {
                api: it.int16()?,
                min: it.int16()?,
                max: it.int16()?,
            })
        })
    }

    /// Logs in; false: with a mechanism that only librdkafka knows, so that nothing was sent.
    ///
    /// # Errors
    /// The broker refuses, or does not answer.
    pub fn log_in(&mut self, sasl: &SaslConfig) -> io::Result<bool> {
        if sasl.mechanism == "PLAIN" {
            self.begin_log_in(sasl)?;
            let token = format!("\0{}\0{}", sasl.username, sasl.password.expose());
            let token = zeroize::Zeroizing::new(token);
            self.authenticate(token.as_bytes())?;
            return Ok(true);
        }
        let nonce = BASE64_STANDARD.encode(random_bytes()?);
        let Some(login) = ScramLogin::new(sasl, nonce) else {
            return Ok(false);
        };
        self.begin_log_in(sasl)?;
        let challenge = self.authenticate(login.first().as_bytes())?;
        let challenge = std::str::from_utf8(&challenge).map_err(|_| damaged())?;
        let proof = login.prove(challenge).ok_or_else(damaged)?;
        let answer = self.authenticate(proof.message.as_bytes())?;
        if answer == proof.expected.as_bytes() {
            Ok(true)
        } else {
            Err(damaged())
        }
    }

    fn begin_log_in(&mut self, sasl: &SaslConfig) -> io::Result<()> {
        let mut body = Vec::new();
        put_string(&mut body, &sasl.mechanism);
        let answer = self.ask(SASL_HANDSHAKE, 1, &body)?;
        accepted(BrokerAnswer(&answer).int16()?)
    }

    /// Sends a message of the log-in. Gives the broker's.
    fn authenticate(&mut self, message: &[u8]) -> io::Result<Vec<u8>> {
        let mut body = zeroize::Zeroizing::new(Vec::with_capacity(message.len() + 4));
        body.extend_from_slice(&length(message.len()).to_be_bytes());
        body.extend_from_slice(message);
        let answer = self.ask(SASL_AUTHENTICATE, 0, &body)?;
        let mut answer = BrokerAnswer(&answer);
        accepted(answer.int16()?)?;
        answer.string()?; // why it refuses
        let count = usize::try_from(answer.int32()?).unwrap_or(0);
        Ok(answer.take(count)?.to_vec())
    }

    /// What this user may do with each of these topics that it may describe.
    ///
    /// # Errors
    /// The broker does not answer as Kafka 2.3 does.
    pub fn topic_rights(&mut self, topics: &[&str]) -> io::Result<Vec<(String, TopicRights)>> {
        let mut body = Vec::new();
        body.extend_from_slice(&length(topics.len()).to_be_bytes());
        for topic in topics {
            put_string(&mut body, topic);
        }
        // No topic is made, and of rights those on topics are told.
        body.extend_from_slice(&[0, 0, 1]);
        let answer = self.ask(METADATA_API, METADATA_WITH_RIGHTS, &body)?;
        read_topic_rights(&answer)
    }

    fn ask(&mut self, api: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
        self.correlation += 1;
        let mut frame = zeroize::Zeroizing::new(Vec::with_capacity(body.len() + 64));
        frame.extend_from_slice(&api.to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&self.correlation.to_be_bytes());
        put_string(&mut frame, CLIENT_ID);
        frame.extend_from_slice(body);
        self.stream.write_all(&length(frame.len()).to_be_bytes())?;
        self.stream.write_all(&frame)?;
        self.stream.flush()?;
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let size = usize::try_from(i32::from_be_bytes(size)).unwrap_or(usize::MAX);
        if !(4..=MAX_BROKER_ANSWER_BYTES).contains(&size) {
            return Err(damaged());
        }
        let mut answer = vec![0; size];
        self.stream.read_exact(&mut answer)?;
        let correlation = BrokerAnswer(&answer).int32()?;
        if correlation != self.correlation {
            return Err(damaged());
        }
        Ok(answer.split_off(4))
    }
}

/// Metadata response 8.
fn read_topic_rights(answer: &[u8]) -> io::Result<Vec<(String, TopicRights)>> {
    let mut answer = BrokerAnswer(answer);
    answer.int32()?; // throttle time
    answer.array(|broker| {
        broker.int32()?; // id
        broker.string()?; // host
        broker.int32()?; // port
        broker.string() // rack
    })?;
    answer.string()?; // cluster
    answer.int32()?; // controller
    let topics = answer.array(|topic| {
        let error = topic.int16()?;
        let name = topic.string()?;
        topic.take(1)?; // internal
        topic.array(|partition| {
            partition.int16()?; // error
            partition.int32()?; // index
            partition.int32()?; // leader
            partition.int32()?; // leader's epoch
            partition.array(BrokerAnswer::int32)?; // replicas
            partition.array(BrokerAnswer::int32)?; // in sync
            partition.array(BrokerAnswer::int32) // offline
        })?;
        let rights = topic.int32()?;
        Ok((error == 0 && rights != RIGHTS_NOT_TOLD).then_some((name, TopicRights(rights))))
    })?;
    Ok(topics.into_iter().flatten().collect())
}

/// What is left to read of an answer.
struct BrokerAnswer<'a>(&'a [u8]);

impl<'a> BrokerAnswer<'a> {
    fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn int16(&mut self) -> io::Result<i16> {
        let bytes = self.take(2)?.try_into().map_err(|_| damaged())?;
        Ok(i16::from_be_bytes(bytes))
    }

    fn int32(&mut self) -> io::Result<i32> {
        let bytes = self.take(4)?.try_into().map_err(|_| damaged())?;
        Ok(i32::from_be_bytes(bytes))
    }

    /// A string; one that is null is empty.
    fn string(&mut self) -> io::Result<String> {
        let count = usize::try_from(self.int16()?).unwrap_or(0);
        let bytes = self.take(count)?.to_vec();
        String::from_utf8(bytes).map_err(|_| damaged())
    }

    /// An array; its length is not believed before its elements are there.
    fn array<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> io::Result<T>,
    ) -> io::Result<Vec<T>> {
        let count = self.int32()?;
        let mut elements = Vec::new();
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }
}

fn put_string(bytes: &mut Vec<u8>, text: &str) {
    let count = i16::try_from(text.len()).unwrap_or(i16::MAX);
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn length(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn random_bytes() -> io::Result<[u8; 18]> {
    let mut bytes = [0; 18];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| io::Error::other("the system gives no random bytes"))?;
    Ok(bytes)
}

fn accepted(error: i16) -> io::Result<()> {
    match error {
        0 => Ok(()),
        code => Err(io::Error::other(format!("Kafka's error {code}"))),
    }
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "what answers does not speak Kafka's protocol",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(rights: i32) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend_from_slice(&1_i32.to_be_bytes());
        bytes.extend_from_slice(&7_i32.to_be_bytes());
        put_string(&mut bytes, "host");
        bytes.extend_from_slice(&9092_i32.to_be_bytes());
        bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        put_string(&mut bytes, "cluster");
        bytes.extend_from_slice(&7_i32.to_be_bytes());
        bytes.extend_from_slice(&1_i32.to_be_bytes());
        bytes.extend_from_slice(&0_i16.to_be_bytes());
        put_string(&mut bytes, "t");
        bytes.push(0);
        bytes.extend_from_slice(&0_i32.to_be_bytes());
        bytes.extend_from_slice(&rights.to_be_bytes());
        bytes.extend_from_slice(&RIGHTS_NOT_TOLD.to_be_bytes());
        bytes
    }

    #[test]
    fn rights_are_read_where_they_are_told() {
        let told = read_topic_rights(&metadata((1 << 3) | (1 << 8))).unwrap();
        let [(name, rights)] = told.as_slice() else {
            panic!("{told:?}");
        };
        assert_eq!(name, "t");
        assert!(rights.may_read() && !rights.may_write());
        assert!(
            read_topic_rights(&metadata(RIGHTS_NOT_TOLD))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_cut_answer_is_damaged_and_no_panic() {
        let whole = metadata(0);
        // What stands behind the topics is not read.
        for end in 0..whole.len() - 4 {
            assert!(read_topic_rights(&whole[..end]).is_err(), "{end}");
        }
        let mut many = vec![0; 4];
        many.extend_from_slice(&i32::MAX.to_be_bytes());
        assert!(read_topic_rights(&many).is_err());
    }
}
