//! Makes certificates, and compares topics with them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::certificate::{
    CERTIFICATE_VERSION, Certificate, CertificateCounts, RowDigests, SliceCheck, check, slice_of,
};
use super::error::Error;
use super::report::Report;
use super::topic_index::TopicIndex;
use super::topic_side::TopicSide;
use crate::config::{KafkaConfig, TableConfig};
use crate::stop::Stop;

/// What every certificate claims.
const CLAIM: &str = "Each row equalled the table at some moment between begin and end, and the topic at these \
                     offsets says so. It is about the versions of rows, not about their bytes.";

/// The certificate of what the topic holds, but for the rows that are left out; `None`: a record does not say
/// which version of its row it holds.
pub(super) fn certify(
    table: &TableConfig,
    instance: &str,
    report: &Report,
    excluded: BTreeSet<String>,
    counts: CertificateCounts,
    index: &mut TopicIndex,
) -> Option<Certificate> {
    let digests = digests(index, &excluded)?;
    let ends = |offsets: &Range<i64>| [offsets.start, offsets.end];
    Some(Certificate {
        version: CERTIFICATE_VERSION,
        claim: CLAIM.to_owned(),
        instance: instance.to_owned(),
        table: table.name.clone(),
        query: table.query.clone(),
        topic: table.topic.clone(),
        begin: report.span.map(|(begin, _)| begin),
        end: report.span.map(|(_, end)| end),
        offsets: report
            .offsets
            .iter()
            .map(|(partition, offsets)| (*partition, ends(offsets)))
            .collect(),
        counts: CertificateCounts {
            proven: digests.slices.iter().map(|slice| slice.rows).sum(),
            left_out: u64::try_from(excluded.len()).unwrap_or(u64::MAX),
            ..counts
        },
        excluded,
        slices: digests.slices,
        root: digests.root,
    })
}

fn digests(index: &mut TopicIndex, excluded: &BTreeSet<String>) -> Option<RowDigests> {
    let mut is_known = true;
    let rows = index.in_order().filter_map(|(id, row)| {
        let version = row.version()?;
        let is_excluded = !excluded.is_empty() && excluded.contains(&id.to_string());
        is_known &= is_excluded || version.seconds.is_some();
        (!is_excluded).then_some((id, version))
    });
    let digests = RowDigests::of(rows);
    is_known.then_some(digests)
}

/// What a topic says at the offsets of a certificate, slice by slice.
///
/// # Errors
/// The certificate is of another table or topic or in a format that is not known, or the topic cannot be read.
pub fn check_topic(
    config: &KafkaConfig,
    table: &TableConfig,
    certificate: &Certificate,
    stop: &Stop,
) -> Result<BTreeMap<SliceCheck, Vec<usize>>, Error> {
    let Certificate { version, .. } = certificate;
    if *version != CERTIFICATE_VERSION {
        return Err(Error::Unusable(format!(
            "the certificate has format {version}, and this program knows {CERTIFICATE_VERSION}"
        )));
    }
    if (&certificate.table, &certificate.topic) != (&table.name, &table.topic) {
        return Err(Error::Unusable(format!(
            "the certificate is of table `{}` in topic `{}`, not of `{}` in `{}`",
            certificate.table, certificate.topic, table.name, table.topic
        )));
    }
    let mut topic = TopicSide::open(config, table, stop)?;
    let ends = certificate.offsets.iter();
    let ends = ends.map(|(partition, [_, end])| (*partition, *end));
    topic.read_up_to(&ends.collect(), stop, |_, _| {}, |_, _| {})?;
    let unknown = "records of the topic do not say which version of their row they hold";
    let digests = digests(&mut topic.index, &certificate.excluded);
    let digests = digests.ok_or_else(|| Error::Unusable(unknown.to_owned()))?;
    let mut moved = BTreeSet::new();
    topic.read_to_end(
        stop,
        |id, _| {
            moved.insert(slice_of(&id.to_string()));
        },
        |_, _| {},
    )?;
    let mut found: BTreeMap<SliceCheck, Vec<usize>> = BTreeMap::new();
    let checks = check(certificate, &digests, &moved, &topic.offsets);
    for (at, check) in checks.into_iter().enumerate() {
        found.entry(check).or_default().push(at);
    }
    Ok(found)
}
