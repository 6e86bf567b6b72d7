//! Programs in turns: what one costs next to another.
//!
//! Times of one program drift with the machine by more than most changes cost. So all of them run on the
//! same broker and instance, each turn begins with another one, and what counts is the ratio within a turn.

use std::error::Error;
use std::fmt;

use crate::proc::Sample;

/// Runs each program once a turn; the samples of each, one a turn.
pub(crate) fn in_turns(
    programs: usize,
    turns: usize,
    mut run: impl FnMut(usize, usize) -> Result<Sample, Box<dyn Error>>,
) -> Result<Vec<Vec<Sample>>, Box<dyn Error>> {
    let mut samples = vec![Vec::new(); programs];
    for turn in 0..turns {
        for program in (0..programs).cycle().skip(turn % programs).take(programs) {
            let sample = run(program, turn)?;
            samples
                .get_mut(program)
                .ok_or("no such program")?
                .push(sample);
        }
    }
    Ok(samples)
}

/// The ratios of a figure within the turns.
pub(crate) struct Ratio {
    middle: f64,
    least: f64,
    most: f64,
}

impl Ratio {
    /// Of `ours` to `theirs`, sample by sample.
    pub(crate) fn of(ours: &[Sample], theirs: &[Sample], figure: fn(&Sample) -> f64) -> Ratio {
        let pairs = ours.iter().zip(theirs);
        let mut ratios: Vec<f64> = pairs
            .map(|(ours, theirs)| figure(ours) / figure(theirs))
            .collect();
        ratios.sort_by(f64::total_cmp);
        let at = |place: usize| ratios.get(place).copied().unwrap_or_default();
        Ratio {
            middle: at(ratios.len() / 2),
            least: at(0),
            most: at(ratios.len().saturating_sub(1)),
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ratio {
            middle,
            least,
            most,
        } = self;
        write!(f, "{middle:.2} ({least:.2} to {most:.2})")
    }
}
