//! Questions that are asked at each tick: answers are kept, and move on with their windows.
//!
//! The series of such a question are looked up once, and again when series come or go. Of a window, what the newest tick
//! brings comes in and what falls behind leaves: integers add and subtract, extremes are kept in order, histograms are
//! counted by bucket; sums of floats are compensated, and made anew when too little of them is left. Whatever is not a
//! plain step on (a tick that joined another, a gap, history that gave way, a reset) is read anew from history. So an
//! answer is that of the same question asked of history: equal, or within the rounding of a sum.
//!
//! What cannot be kept so is asked as any other question, once for all who ask it; and when such questions would read much of
//! history in each tick, they take turns, and keep their last answers meanwhile.

mod counters;
mod extremes;
mod gauges;
mod group;
mod piles;
mod question;
mod turns;
mod view;

use self::{
    group::{Said, Scratch, is_kept},
    question::Standing,
    turns::{Turn, cycle},
};
use super::{
    aggregation::Aggregation,
    ask::{Ask, Query, Range},
    ruled::{Ruled, Shift, ask_for_rule},
};
use crate::{
    error::Error,
    history::Charge,
    ledger::{Full, Ledger, Part},
    model::Timestamp,
    util::layout,
};
use std::{sync::Arc, time::Duration};

/// All standing questions of one asker.
#[derive(Debug)]
pub(crate) struct Standings {
    list: Vec<Standing>,
    /// Hashes and places of them, sorted.
    index: Vec<(u64, usize)>,
    /// What takes turns, and how much of history it reads all together.
    turns: Vec<Turn>,
    points: u64,
    /// How many rounds of asking there were.
    round: u64,
    /// How often a tick had joined the frame of the one before.
    joined: u64,
    scratch: Option<Scratch>,
    ledger: Arc<Ledger>,
    part: Part,
    charge: Option<Charge>,
}

/// Rounds that a question rests for which there was no room.
const REST: u64 = 64;

impl Standings {
    pub(crate) fn new(ledger: &Arc<Ledger>, part: Part) -> Self {
        Self {
            list: Vec::new(),
            index: Vec::new(),
            turns: Vec::new(),
            points: 0,
            round: 0,
            joined: 0,
            scratch: None,
            ledger: ledger.clone(),
            part,
            charge: None,
        }
    }

    /// A round of asking begins, at a new tick: all answers move on. Cost: for each series of each question, a look at the
    /// newest frame, and at a sixteenth of a chunk of history.
    pub(crate) fn begin(&mut self, ask: &dyn Ask, now: Timestamp) {
        self.round += 1;
        let Some((timeline, joined)) = ask.history() else {
            self.clear();
            return;
        };
        // A tick that joined the newest frame has changed what was added up.
        let has_joined = joined != self.joined;
        self.joined = joined;
        let Some(mut scratch) = self.take_scratch() else {
            self.clear();
            return;
        };
        let mut views = Vec::new();
        for standing in &mut self.list {
            if standing.rests_until > self.round {
                continue;
            }
            if has_joined {
                standing.forget();
            }
            let moved = standing.advance(ask, &timeline, now, &mut views, &mut scratch);
            if moved.is_err() {
                standing.clear();
                standing.rests_until = self.round + REST;
            }
        }
        drop(views);
        self.scratch = Some(scratch);
    }

    fn take_scratch(&mut self) -> Option<Scratch> {
        self.scratch.take().or_else(|| {
            let charge = Charge::new(&self.ledger, self.part, 0).ok()?;
            Scratch::new(charge).ok()
        })
    }

    /// What a rule is told of its question.
    pub(crate) fn ask(
        &mut self,
        ask: &dyn Ask,
        query: &Query,
        aggregation: Aggregation,
        shift: Shift,
        most: usize,
    ) -> Result<Ruled, Error> {
        if let Some(ruled) = self.kept(ask, query, aggregation, shift, most) {
            return Ok(ruled);
        }
        if aggregation.is_live() {
            return ask_for_rule(ask, query, aggregation, shift, most);
        }
        let hash = question::hash(query, shift.ago, most);
        let is_it =
            |turn: &&mut Turn| turn.hash == hash && turn.is(query, aggregation, shift, most);
        let round = self.round;
        if let Some(turn) = self.turns.iter_mut().find(is_it) {
            if let Some(ruled) = turn.answer(round) {
                return Ok(ruled);
            }
            let ruled = ask_for_rule(ask, query, aggregation, shift, most)?;
            self.points = self.points.saturating_sub(turn.cost()) + ruled.cost;
            turn.put(&ruled, round, cycle(self.points));
            return Ok(ruled);
        }
        let ruled = ask_for_rule(ask, query, aggregation, shift, most)?;
        // Without room it is asked each time.
        let _ = self.add_turn(query, aggregation, shift, most, hash, &ruled);
        Ok(ruled)
    }

    fn add_turn(
        &mut self,
        query: &Query,
        aggregation: Aggregation,
        shift: Shift,
        most: usize,
        hash: u64,
        ruled: &Ruled,
    ) -> Result<(), Full> {
        let charge = self.charge()?;
        let own = charge.beside(query.bytes())?;
        let mut turns = std::mem::take(&mut self.turns);
        let room = self.charge()?.room(&mut turns);
        self.turns = turns;
        room?;
        let mut turn = Turn::new(query, aggregation, shift, most, hash, own)?;
        self.points += ruled.cost;
        let cycle = cycle(self.points);
        // They begin at different times, and so go on.
        let first = 1 + self.turns.len() as u64 % cycle;
        turn.put(ruled, self.round, first);
        turn.used = self.round;
        self.turns.push(turn);
        Ok(())
    }

    fn charge(&mut self) -> Result<&mut Charge, Full> {
        match &mut self.charge {
            Some(charge) => Ok(charge),
            none => Ok(none.insert(Charge::new(&self.ledger, self.part, 0)?)),
        }
    }

    /// `None`: it has to be asked as any other. The first time it is read from history.
    fn kept(
        &mut self,
        ask: &dyn Ask,
        query: &Query,
        aggregation: Aggregation,
        shift: Shift,
        most: usize,
    ) -> Option<Ruled> {
        let is_windowed = matches!(query.window, Some(Range::Last(_)));
        if !is_kept(query.kind, aggregation) || shift.steps.is_some() || !is_windowed {
            return None;
        }
        let at = match self.find(query, shift.ago, most) {
            Ok(at) => at,
            Err(hash) => self.add(ask, query, shift, most, hash).ok()?,
        };
        let standing = self.list.get_mut(at)?;
        standing.used = self.round;
        if standing.rests_until > self.round {
            return None;
        }
        let mut rows = Vec::with_capacity(standing.groups.len());
        for group in &standing.groups {
            let Said::Value(value) = group.say(aggregation) else {
                return None;
            };
            let value = value.filter(|_| standing.asks);
            rows.push((group.labels.clone(), vec![value]));
        }
        Some(Ruled::of(rows, standing.excess))
    }

    /// The round is over: what nobody has asked for in it is forgotten.
    pub(crate) fn end(&mut self) {
        let before = self.list.len();
        let round = self.round;
        self.list.retain(|standing| standing.used == round);
        if self.list.len() < before {
            self.index.clear();
            let hashes = self.list.iter().enumerate();
            self.index
                .extend(hashes.map(|(at, standing)| (standing.hash, at)));
            self.index.sort_unstable();
        }
        self.turns.retain(|turn| turn.used == round);
        self.points = self.turns.iter().map(Turn::cost).sum();
        if self.list.is_empty() && self.turns.is_empty() {
            self.clear();
        }
    }

    /// The place of a question, or its hash.
    fn find(&self, query: &Query, ago: Duration, most: usize) -> Result<usize, u64> {
        let hash = question::hash(query, ago, most);
        let from = self.index.partition_point(|(known, _)| *known < hash);
        let same = self
            .index
            .iter()
            .skip(from)
            .take_while(|(known, _)| *known == hash);
        for (_, at) in same {
            if self
                .list
                .get(*at)
                .is_some_and(|one| one.is(query, ago, most))
            {
                return Ok(*at);
            }
        }
        Err(hash)
    }

    fn add(
        &mut self,
        ask: &dyn Ask,
        query: &Query,
        shift: Shift,
        most: usize,
        hash: u64,
    ) -> Result<usize, Full> {
        let (timeline, _) = ask.history().ok_or(Full)?;
        self.charge()?;
        let Some(charge) = &mut self.charge else {
            return Err(Full);
        };
        charge.room(&mut self.list)?;
        charge.room(&mut self.index)?;
        let own = charge.beside(query.bytes())?;
        let mut standing = Standing::new(query, shift.ago, most, hash, own);
        let mut scratch = self.take_scratch().ok_or(Full)?;
        let mut views = Vec::new();
        let built = standing.advance(ask, &timeline, shift.now, &mut views, &mut scratch);
        drop(views);
        self.scratch = Some(scratch);
        if built.is_err() {
            standing.clear();
            standing.rests_until = self.round + REST;
        }
        let at = self.list.len();
        self.list.push(standing);
        let place = self.index.partition_point(|(known, _)| *known < hash);
        self.index.insert(place, (hash, at));
        Ok(at)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        let lists = layout::vec::<Standing>(self.list.capacity())
            + layout::vec::<(u64, usize)>(self.index.capacity())
            + layout::vec::<Turn>(self.turns.capacity());
        self.turns = Vec::new();
        self.points = 0;
        self.list = Vec::new();
        self.index = Vec::new();
        self.scratch = None;
        if let Some(mut charge) = self.charge.take() {
            charge.give_back(lists);
        }
    }
}
